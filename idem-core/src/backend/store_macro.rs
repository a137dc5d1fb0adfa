//! The calls of a store, implemented for a type that is a transition.

/// Implements [`Store`](crate::Store) for a type that is a [`Transition`](crate::backend::Transition):
/// `store_from_transition!(MapStore);`
#[doc(hidden)]
#[macro_export]
macro_rules! __store_from_transition {
    ($store:ty) => {
        #[$crate::backend::async_trait]
        impl $crate::Store for $store {
            async fn lock(
                &self,
                key: &$crate::Key,
                fingerprint: &$crate::Fingerprint,
                claim: &$crate::Claim,
            ) -> $crate::Result<$crate::LockAnswer> {
                $crate::backend::transition::lock(self, key, fingerprint, claim).await
            }

            fn peek(
                &self,
                key: &$crate::Key,
                fingerprint: &$crate::Fingerprint,
            ) -> ::core::option::Option<$crate::record::Replay> {
                $crate::backend::Transition::peek(self, key, fingerprint)
            }

            async fn renew(
                &self,
                lease: &$crate::Lease,
                duration: ::core::time::Duration,
            ) -> $crate::Result<$crate::Effect> {
                $crate::backend::transition::renew(self, lease, duration).await
            }

            async fn checkpoint(
                &self,
                lease: &$crate::Lease,
                step: u64,
                progress: $crate::bytes::Bytes,
                duration: ::core::time::Duration,
            ) -> $crate::Result<$crate::Effect> {
                $crate::backend::transition::checkpoint(self, lease, step, progress, duration).await
            }

            async fn complete(
                &self,
                lease: &$crate::Lease,
                outcome: $crate::Outcome,
                retention: ::core::time::Duration,
            ) -> $crate::Result<$crate::Effect> {
                $crate::backend::transition::complete(self, lease, outcome, retention).await
            }

            async fn release(&self, lease: &$crate::Lease) -> $crate::Result<$crate::Effect> {
                $crate::backend::transition::release(self, lease).await
            }

            async fn get(
                &self,
                key: &$crate::Key,
            ) -> $crate::Result<::core::option::Option<$crate::record::Record>> {
                $crate::backend::Transition::get(self, key).await
            }

            async fn settled(
                &self,
                key: &$crate::Key,
                timeout: ::core::time::Duration,
            ) -> $crate::Result<bool> {
                $crate::backend::Transition::settled(self, key, timeout).await
            }

            async fn remove(&self, key: &$crate::Key, force: bool) -> $crate::Result<bool> {
                $crate::backend::transition::remove(self, key, force).await
            }

            async fn expire(&self, budget: usize) -> $crate::Result<$crate::Expired> {
                $crate::backend::Transition::expire(self, budget).await
            }

            fn capabilities(&self) -> $crate::Capabilities {
                $crate::backend::Transition::capabilities(self)
            }

            fn as_any(&self) -> &dyn ::core::any::Any {
                self
            }
        }
    };
}

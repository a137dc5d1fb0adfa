//! The calls of a store, implemented for a type that is a transition.

/// Implements [`Store`](crate::Store) for a type that is a [`Transition`](crate::backend::Transition):
/// `store_from_transition!(MapStore);`
#[doc(hidden)]
#[macro_export]
macro_rules! __store_from_transition {
    ($store:ty) => {
        #[$crate::backend::async_trait]
        impl $crate::Store for $store {
            // Spelt out, here and for a holder's calls, to box the future of the step itself without another around it.
            fn lock<'s, 'k, 'f, 'c, 'a>(
                &'s self,
                key: &'k $crate::Key,
                fingerprint: &'f $crate::Fingerprint,
                claim: &'c $crate::Claim,
            ) -> $crate::backend::transition::Answering<'a, $crate::LockAnswer>
            where
                's: 'a,
                'k: 'a,
                'f: 'a,
                'c: 'a,
                Self: 'a,
            {
                ::std::boxed::Box::pin($crate::backend::transition::lock(self, key, fingerprint, claim))
            }

            fn peek(
                &self,
                key: &$crate::Key,
                fingerprint: &$crate::Fingerprint,
            ) -> ::core::option::Option<$crate::record::Replay> {
                $crate::backend::Transition::peek(self, key, fingerprint)
            }

            fn renew<'s, 'l, 'a>(
                &'s self,
                lease: &'l $crate::Lease,
                duration: ::core::time::Duration,
            ) -> $crate::backend::transition::Answering<'a, $crate::Effect>
            where
                's: 'a,
                'l: 'a,
                Self: 'a,
            {
                let call = $crate::backend::Call::Renew { token: lease.token(), duration };
                ::std::boxed::Box::pin($crate::backend::transition::hold(self, lease, call))
            }

            fn checkpoint<'s, 'l, 'a>(
                &'s self,
                lease: &'l $crate::Lease,
                step: u64,
                progress: $crate::bytes::Bytes,
                duration: ::core::time::Duration,
            ) -> $crate::backend::transition::Answering<'a, $crate::Effect>
            where
                's: 'a,
                'l: 'a,
                Self: 'a,
            {
                let call = $crate::backend::Call::Checkpoint {
                    token: lease.token(),
                    checkpoint: $crate::record::Checkpoint { step, progress },
                    duration,
                };
                ::std::boxed::Box::pin($crate::backend::transition::hold(self, lease, call))
            }

            fn complete<'s, 'l, 'a>(
                &'s self,
                lease: &'l $crate::Lease,
                outcome: $crate::Outcome,
                retention: ::core::time::Duration,
            ) -> $crate::backend::transition::Answering<'a, $crate::Effect>
            where
                's: 'a,
                'l: 'a,
                Self: 'a,
            {
                let call = $crate::backend::Call::Complete { token: lease.token(), outcome, retention };
                ::std::boxed::Box::pin($crate::backend::transition::hold(self, lease, call))
            }

            fn release<'s, 'l, 'a>(
                &'s self,
                lease: &'l $crate::Lease,
            ) -> $crate::backend::transition::Answering<'a, $crate::Effect>
            where
                's: 'a,
                'l: 'a,
                Self: 'a,
            {
                let call = $crate::backend::Call::Release { token: lease.token() };
                ::std::boxed::Box::pin($crate::backend::transition::hold(self, lease, call))
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

            async fn close(&self) -> $crate::Result<()> {
                $crate::backend::Transition::close(self).await
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

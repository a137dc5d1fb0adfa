//! The calls of a store, implemented for a type that is a transition.

/// Implements [`Store`](crate::Store) for a type that is a [`Transition`](crate::backend::Transition):
/// `store_from_transition!(MapStore);`. The parameters of a generic type follow it, with their bounds:
/// `store_from_transition!(SqlStore<P>, P: Pool);`.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_from_transition {
    ($store:ty) => {
        $crate::__store_from_transition!($store,);
    };
    ($store:ty, $($parameters:tt)*) => {
        // Spelt out, since `async_trait` would use what the caller's module has as `Box`, and put another future around that of
        // the step.
        impl<$($parameters)*> $crate::Store for $store {
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

            fn get<'s, 'k, 'a>(
                &'s self,
                key: &'k $crate::Key,
            ) -> $crate::backend::transition::Answering<'a, ::core::option::Option<$crate::record::Record>>
            where
                's: 'a,
                'k: 'a,
                Self: 'a,
            {
                ::std::boxed::Box::pin(async move { $crate::backend::Transition::get(self, key).await })
            }

            fn settled<'s, 'k, 'a>(
                &'s self,
                key: &'k $crate::Key,
                timeout: ::core::time::Duration,
            ) -> $crate::backend::transition::Answering<'a, bool>
            where
                's: 'a,
                'k: 'a,
                Self: 'a,
            {
                ::std::boxed::Box::pin(async move { $crate::backend::Transition::settled(self, key, timeout).await })
            }

            fn remove<'s, 'k, 'a>(
                &'s self,
                key: &'k $crate::Key,
                force: bool,
            ) -> $crate::backend::transition::Answering<'a, bool>
            where
                's: 'a,
                'k: 'a,
                Self: 'a,
            {
                ::std::boxed::Box::pin($crate::backend::transition::remove(self, key, force))
            }

            fn expire<'s, 'a>(
                &'s self,
                budget: usize,
            ) -> $crate::backend::transition::Answering<'a, $crate::Expired>
            where
                's: 'a,
                Self: 'a,
            {
                ::std::boxed::Box::pin(async move { $crate::backend::Transition::expire(self, budget).await })
            }

            fn scan<'s, 'r, 'c, 'a>(
                &'s self,
                scan: &'r $crate::scan::Scan,
                after: ::core::option::Option<&'c $crate::scan::Cursor>,
            ) -> $crate::backend::transition::Answering<'a, $crate::scan::Page>
            where
                's: 'a,
                'r: 'a,
                'c: 'a,
                Self: 'a,
            {
                ::std::boxed::Box::pin($crate::backend::transition::scan(self, scan, after))
            }

            fn close<'s, 'a>(&'s self) -> $crate::backend::transition::Answering<'a, ()>
            where
                's: 'a,
                Self: 'a,
            {
                ::std::boxed::Box::pin(async move { $crate::backend::Transition::close(self).await })
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

//! The macro that makes a named test of each case.

/// Makes a named test of each case, for one backend.
///
/// `conformance!(name, new)` emits a module `name` with a test such as `name::lock::fresh_key_is_acquired`
/// for every case; `new` is an async function (or a closure that gives a future) that makes a fresh
/// [`Harness`](crate::Harness). `conformance!(name, new, lacks: [Durable, Corrupt])` names each [`Need`](crate::Need)
/// that the store, or its harness, lacks. A case that needs it passes and prints
/// `excluded: <name> <case>: needs <need>`. The test `name::excluded_cases_are_listed` lists them all, and fails when
/// the store lacks more or less than that.
///
/// `name::model::random_calls_agree_with_decide` runs random sequences of calls against the pure
/// [`decide`](idem_core::backend::decide()) and the store; `PROPTEST_CASES` sets how many, and `PROPTEST_RNG_SEED`
/// which.
///
/// The arguments are resolved as in a child module of the module that calls the macro.
#[macro_export]
macro_rules! conformance {
    ($backend:ident, $new:expr $(,)?) => {
        $crate::conformance!($backend, $new, lacks: []);
    };
    ($backend:ident, $new:expr, lacks: [$($need:ident),* $(,)?] $(,)?) => {
        $crate::__for_each_case!($crate::__tests { $backend, $new, [$($need),*] });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    (
        { $backend:ident, $new:expr, [$($lacks:ident),*] }
        $($subject:ident { $($case:ident $(needs $need:ident)*,)* })*
    ) => {
        mod $backend {
            #[allow(unused_imports, reason = "the constructor may need no import")]
            use super::*;

            // Names that a constructor does not have: it stands here beside them.
            const __LACKS: &[$crate::Need] = &[$($crate::Need::$lacks),*];

            fn __fresh_harness() -> $crate::Fresh {
                $crate::fresh($new)
            }

            #[test]
            fn excluded_cases_are_listed() {
                $crate::list_excluded(stringify!($backend), __fresh_harness, __LACKS);
            }

            mod model {
                #[test]
                fn random_calls_agree_with_decide() {
                    $crate::run_model(stringify!($backend), super::__fresh_harness);
                }
            }

            $(mod $subject {
                $(#[test]
                fn $case() {
                    let case = concat!(stringify!($subject), "::", stringify!($case));
                    $crate::run(stringify!($backend), case, super::__fresh_harness, super::__LACKS);
                })*
            })*
        }
    };
}

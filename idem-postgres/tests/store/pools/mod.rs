//! A store on the application's pool, of each library.

/// Runs the cases of a file with a pool of each library.
macro_rules! with_each_library {
    ($($case:ident),+ $(,)?) => {
        mod of_deadpool {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(crate::pools::application::Library::Deadpool).await;
                }
            )+
        }

        mod of_sqlx {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(crate::pools::application::Library::Sqlx).await;
                }
            )+
        }
    };
}

mod application;
mod borrowing;
mod calls;
mod given_up;
mod only_reads;
mod opening;
mod poolers;
mod transactions;

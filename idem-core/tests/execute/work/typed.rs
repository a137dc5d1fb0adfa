//! `execute` answers what every replay will answer; a result that cannot be read back is found out at once.

use idem_core::{Execution, StoreExt, UnavailableReason};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::support::{Scripted, key, order, policy};

/// The answer of the execution and that of a retry.
async fn execute_twice<T>(value: impl Fn() -> T + Send + Sync) -> [Execution<T, ()>; 2]
where
    T: Serialize + DeserializeOwned + Send + Sync,
{
    let store = Scripted::new();
    let (key, order, policy) = (key(), order(), policy());
    let execute = || store.execute(&key, &order, &policy, |_| async { Ok(value()) });
    let answers = [execute().await.unwrap(), execute().await.unwrap()];
    assert_eq!(store.record(&key).unwrap().attempt, 1, "the work ran once");
    answers
}

#[tokio::test(start_paused = true)]
async fn replay_of_a_result_with_skipped_fields_is_its_execution() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Receipt {
        #[serde(skip_serializing_if = "Option::is_none")]
        discount: Option<u8>,
        cents: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tags: Vec<u8>,
    }
    let receipt = Receipt { discount: None, cents: 1, tags: vec![9, 0] };
    let [executed, replayed] = execute_twice(|| receipt.clone()).await;
    assert!(matches!(&executed, Execution::Executed(value) if *value == receipt), "{executed:?}");
    assert!(matches!(&replayed, Execution::Replayed(value) if *value == receipt), "{replayed:?}");
}

/// No replay can show a field that its type does not write, so the execution does not show it either.
#[tokio::test(start_paused = true)]
async fn field_that_is_never_written_is_answered_as_every_replay_will_answer_it() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Cached {
        cents: u64,
        #[serde(skip)]
        shown: Option<String>,
        maybe: Option<()>,
    }
    let cached = Cached { cents: 1, shown: Some("0.01".to_owned()), maybe: Some(()) };
    let [executed, replayed] = execute_twice(|| cached.clone()).await;
    assert_eq!(executed.into_value(), replayed.into_value());
}

/// serde cannot read a 128-bit number from its buffer for `flatten`.
#[tokio::test(start_paused = true)]
async fn result_that_cannot_be_read_back_is_answered_and_never_runs_again() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wide {
        wide: u128,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        inner: Wide,
    }
    let value = || Flat { inner: Wide { wide: 7 } };
    let [executed, retried] = execute_twice(value).await;
    assert!(matches!(&executed, Execution::Executed(flat) if *flat == value()), "{executed:?}");
    assert!(matches!(retried, Execution::Unavailable(UnavailableReason::NotEncodable)), "{retried:?}");
}

//! What the server booked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Result;
use crate::arguments::Arguments;

#[derive(Deserialize)]
struct Payment {
    id: u64,
    reference: String,
}

/// Prints how many payments were booked how often.
///
/// # Errors
/// When a payment in `references` was not booked exactly once.
pub(crate) async fn once_each(arguments: &Arguments, references: &[String]) -> Result<()> {
    let (client, mut after) = (reqwest::Client::new(), 0);
    let mut executions: BTreeMap<_, u64> = references.iter().map(|reference| (&**reference, 0)).collect();
    loop {
        let url = format!("http://{}/payments?after={after}", arguments.server);
        let answer = client.get(url).bearer_auth(&arguments.token).send().await?;
        let page: Vec<Payment> = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
        // A server that ignores `after` would answer with the first page again.
        let Some(last) = page.last().filter(|last| last.id > after) else { break };
        after = last.id;
        for payment in &page {
            if let Some(count) = executions.get_mut(&*payment.reference) {
                *count += 1;
            }
        }
    }
    let mut keys_by_count = BTreeMap::<u64, usize>::new();
    for count in executions.values() {
        *keys_by_count.entry(*count).or_default() += 1;
    }
    for (count, keys) in &keys_by_count {
        println!("executions per key: {count} for {keys} keys");
    }
    if keys_by_count.keys().all(|count| *count == 1) {
        return Ok(());
    }
    Err("some payments were not booked exactly once".into())
}

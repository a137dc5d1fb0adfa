//! Helpers of the tests of provoked errors.

use std::time::Duration;

use idem_servers::redis::{Node, Reply};
use tokio::time::{sleep, timeout};

use crate::protocol::errors::table::Row;

pub(super) const LONG: Duration = Duration::from_secs(30);

pub(super) fn name(row: &Row) -> String {
    [row.code, row.parts.first().unwrap_or(&"")].join(" ").trim().to_owned()
}

/// The error with which `node` refuses `args`.
pub(super) async fn refusal(node: &Node, args: &[&str]) -> String {
    match node.command(args).await.unwrap() {
        Reply::Error(text) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// As [`refusal`], but repeats the command until the error begins with `code`.
pub(super) async fn refusal_soon(node: &Node, args: &[&str], code: &str) -> String {
    let asked = async {
        loop {
            match node.command(args).await {
                Ok(Reply::Error(text)) if text.starts_with(code) => return text,
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    timeout(LONG, asked).await.unwrap()
}

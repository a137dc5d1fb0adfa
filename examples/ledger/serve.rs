//! Serving the stream: several lanes in parallel, each with one request at a time.

use std::future::Future;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Result;
use crate::answer::{Answer, Reply};
use crate::request::{Line, Request};

/// How many requests are served at the same time.
const LANES: usize = 16;
/// How many more wait in each lane.
const QUEUE: usize = 4;

/// Where payments are booked.
pub(crate) trait Desk: Clone + Send + Sync + 'static {
    fn pay(&self, request: &Request) -> impl Future<Output = Result<Reply>> + Send;
    fn close(self) -> impl Future<Output = Result<()>> + Send;
}

/// Pays each request of the stream at `desk`, and sends the answers as they come.
pub(crate) async fn serve<D: Desk>(stream: Vec<Line>, desk: D, answers: mpsc::Sender<Answer>) -> Result<()> {
    let mut serving = JoinSet::new();
    let mut lanes = Vec::with_capacity(LANES);
    for _ in 0..LANES {
        let (lane, requests) = mpsc::channel(QUEUE);
        lanes.push(lane);
        serving.spawn(serve_lane(requests, desk.clone(), answers.clone()));
    }
    for line in stream {
        // An account has one lane, so its requests are served in the order of the stream.
        let lane = line.request.as_ref().map_or(0, |request| lane_of(&request.account));
        if lanes[lane].send(line).await.is_err() {
            break; // The lane has failed; its error is returned below.
        }
    }
    drop((lanes, answers));
    while let Some(served) = serving.join_next().await {
        served??;
    }
    desk.close().await
}

async fn serve_lane<D: Desk>(
    mut requests: mpsc::Receiver<Line>,
    desk: D,
    answers: mpsc::Sender<Answer>,
) -> Result<()> {
    while let Some(Line { number, request }) = requests.recv().await {
        let reply = match request {
            Ok(request) => desk.pay(&request).await.map_err(|error| format!("line {number}: {error}"))?,
            Err(_) => Reply::Bad,
        };
        answers.send(Answer { line: number, reply }).await?;
    }
    Ok(())
}

fn lane_of(account: &str) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(account);
    // Any byte of the hash will do.
    usize::from(hash.to_le_bytes()[0]) % LANES
}

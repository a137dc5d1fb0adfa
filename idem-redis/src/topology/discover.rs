//! Asks servers which of them are masters, all at once, so that a dead server causes no delay.

use std::sync::Arc;
use std::time::Duration;

use idem_core::ErrorKind;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::address::Address;
use crate::connection::connector::Connector;
use crate::connection::link::Link;
use crate::protocol::errors::attempt_error::AttemptError;
use crate::protocol::errors::cause::Cause;
use crate::protocol::reply::Reply;
use crate::topology::cluster::shards::Shards;
use crate::topology::cluster::slots::SLOTS;
use crate::topology::cluster::view::View;
use crate::topology::node::connections::Node;

/// How long to wait for better answers after the first one.
const GRACE: Duration = Duration::from_millis(50);

/// The answers that arrive until [`GRACE`] after the first one: at least one.
async fn gather<T: 'static>(
    mut asked: JoinSet<Result<T, AttemptError>>,
    nobody: &'static str,
) -> Result<Vec<T>, AttemptError> {
    let mut answers = Vec::new();
    let mut error = AttemptError::Later(Cause::new(nobody));
    loop {
        let next = if answers.is_empty() {
            asked.join_next().await
        } else {
            timeout(GRACE, asked.join_next()).await.unwrap_or(None)
        };
        match next {
            Some(Ok(Ok(answer))) => answers.push(answer),
            Some(Ok(Err(refused @ AttemptError::Refused(..)))) => error = refused,
            Some(Ok(Err(other))) if !matches!(error, AttemptError::Refused(..)) => error = other,
            Some(_) => {}
            None if answers.is_empty() => return Err(error),
            None => return Ok(answers),
        }
    }
}

/// The cluster of `nodes`, as the node with the highest epoch sees it. `is_known`: whether the cluster's ids are known, so
/// that each answer was compared with them. Otherwise all answers must be about one cluster.
pub(crate) async fn ask_cluster(nodes: Vec<Arc<Node>>, is_known: bool) -> Result<View, AttemptError> {
    let nobody = "no server of the cluster is known";
    let views = gather(nodes.into_iter().map(ask_node).collect(), nobody).await?;
    if !is_known && let Some(one) = views.first() {
        let mut shards = Shards::default();
        shards.learn(one);
        if !views.iter().all(|view| shards.recognize(view)) {
            let message = "the servers that are named belong to different clusters";
            return Err(AttemptError::refused(ErrorKind::InvalidConfig, message));
        }
    }
    let best = views.into_iter().max_by_key(|view| (view.epoch, view.is_ok));
    best.ok_or_else(|| AttemptError::Later(Cause::new(nobody)))
}

async fn ask_node(node: Arc<Node>) -> Result<View, AttemptError> {
    let view = View::ask(&*node.query_link().await?).await?;
    if view.ranges.is_empty() {
        return Err(AttemptError::Later(Cause::new(format!("{} knows no slots", node.address()))));
    }
    node.server.refuse_unless_recognized(&view)?;
    Ok(view)
}

/// Refuses a cluster that cannot store every key.
pub(crate) fn refuse_unless_whole(view: &View) -> Result<(), AttemptError> {
    let uncovered = view.uncovered();
    if uncovered > 0 {
        let message = format!("{uncovered} of the cluster's {SLOTS} slots have no master");
        return Err(AttemptError::refused(ErrorKind::Unavailable, message));
    }
    if !view.is_ok {
        return Err(AttemptError::refused(
            ErrorKind::Unavailable,
            "the cluster says that it is down (cluster_state)",
        ));
    }
    Ok(())
}

/// The master that a sentinel names.
pub(crate) struct NamedMaster {
    pub(crate) master: Address,
    /// How many replicas the master has or had. 0 where the sentinel may not be asked.
    pub(crate) replicas: u64,
    /// Rises with every failover that the sentinel knows of.
    pub(crate) epoch: u64,
}

/// The master that `sentinels` call `master_name`, according to the sentinel with the highest epoch. `epoch`: the highest
/// seen before. A lower one is believed only when a majority answers: then the sentinels were set up anew.
pub(crate) async fn ask_sentinels(
    connector: &Arc<Connector>,
    sentinels: &[Address],
    master_name: &str,
    epoch: u64,
) -> Result<NamedMaster, AttemptError> {
    let ask =
        |sentinel: &Address| ask_sentinel(Arc::clone(connector), sentinel.clone(), master_name.to_owned());
    let asked = sentinels.iter().map(ask).collect();
    let nobody = "no sentinel is known";
    let answers = gather(asked, nobody).await?;
    let is_majority = answers.len() * 2 > sentinels.len();
    let best = answers.into_iter().max_by_key(|named| named.epoch);
    let named = best.ok_or_else(|| AttemptError::Later(Cause::new(nobody)))?;
    if named.epoch < epoch && !is_majority {
        return Err(AttemptError::Later(Cause::new(
            "the sentinels that have heard of the last failover do not answer",
        )));
    }
    Ok(named)
}

async fn ask_sentinel(
    connector: Arc<Connector>,
    sentinel: Address,
    master_name: String,
) -> Result<NamedMaster, AttemptError> {
    let link = Link::open(&connector, &sentinel).await?;
    let ask = async |what| link.ask(["SENTINEL".into(), what, master_name.clone().into()]).await;
    let answer = ask("GET-MASTER-ADDR-BY-NAME".into()).await?;
    let unknown = || {
        AttemptError::refused(ErrorKind::InvalidConfig, format!("{sentinel} knows no master {master_name:?}"))
    };
    let Some([host, port]) = answer.array() else { return Err(unknown()) };
    let (host, port) = (host.text().ok_or_else(unknown)?, port.text().ok_or_else(unknown)?);
    let port = port.parse().map_err(|_| unknown())?;
    let details = match ask("MASTER".into()).await {
        Ok(details) => details,
        // The user may not ask for this.
        Err(AttemptError::Refused(..)) => Reply::Null,
        Err(error) => return Err(error),
    };
    let number = |name| {
        let mut pairs = details.array().unwrap_or_default().chunks_exact(2);
        pairs.find(|pair| pair[0].text() == Some(name))?[1].text()?.parse().ok()
    };
    Ok(NamedMaster {
        master: Address::Tcp { host: host.to_owned(), port },
        replicas: number("num-slaves").unwrap_or(0),
        epoch: number("config-epoch").unwrap_or(0),
    })
}

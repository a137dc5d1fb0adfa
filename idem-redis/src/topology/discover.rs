//! Asking servers who the masters are.

use std::sync::Arc;
use std::time::Duration;

use idem_core::ErrorKind;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Address;
use crate::connection::dial::Dial;
use crate::connection::link::Link;
use crate::protocol::fault::{Cause, Fault};
use crate::topology::node::Node;
use crate::topology::slots::{SLOTS, View};

/// How long to wait for those who may know more, once somebody has answered.
const GRACE: Duration = Duration::from_millis(50);

/// Asks all of `nodes` at once, so that a dead one delays nobody, and believes the one that has heard most.
pub(crate) async fn ask_cluster(nodes: Vec<Arc<Node>>) -> Result<View, Fault> {
    let mut asked: JoinSet<_> = nodes.into_iter().map(ask_node).collect();
    let mut best: Option<View> = None;
    let mut fault = Fault::Later(Cause::new("no server of the cluster is known"));
    loop {
        let next = match &best {
            None => asked.join_next().await,
            Some(_) => timeout(GRACE, asked.join_next()).await.unwrap_or(None),
        };
        match next {
            Some(Ok(Ok(view))) => {
                let knows_more =
                    best.as_ref().is_none_or(|best| (view.epoch, view.is_ok) > (best.epoch, best.is_ok));
                if knows_more {
                    best = Some(view);
                }
            }
            Some(Ok(Err(refused @ Fault::Refused(..)))) => fault = refused,
            Some(Ok(Err(other))) if !matches!(fault, Fault::Refused(..)) => fault = other,
            Some(_) => {}
            None => return best.ok_or(fault),
        }
    }
}

async fn ask_node(node: Arc<Node>) -> Result<View, Fault> {
    let link = node.link().await?;
    let info = link.ask(["CLUSTER".into(), "INFO".into()]).await?;
    let slots = link.ask(["CLUSTER".into(), "SLOTS".into()]).await?;
    View::read(&info, &slots, link.address()).ok_or_else(|| {
        Fault::Later(Cause::new(format!("{} does not tell the cluster's slots", link.address())))
    })
}

/// Refuses a cluster in which some keys could not be kept.
pub(crate) fn refuse_unless_whole(view: &View) -> Result<(), Fault> {
    let uncovered = view.uncovered();
    if uncovered > 0 {
        let message = format!("{uncovered} of the cluster's {SLOTS} slots have no master");
        return Err(Fault::refused(ErrorKind::Unavailable, message));
    }
    if !view.is_ok {
        return Err(Fault::refused(
            ErrorKind::Unavailable,
            "the cluster says that it is down (cluster_state)",
        ));
    }
    Ok(())
}

/// Asks `sentinels` one after the other for the master that they call `service`.
pub(crate) async fn ask_sentinels(
    dial: &Arc<Dial>,
    sentinels: &[Address],
    service: &str,
) -> Result<Address, Fault> {
    let mut fault = Fault::Later(Cause::new("no sentinel is known"));
    for sentinel in sentinels {
        match ask_sentinel(dial, sentinel, service).await {
            Ok(master) => return Ok(master),
            Err(other) => fault = other,
        }
    }
    Err(fault)
}

async fn ask_sentinel(dial: &Arc<Dial>, sentinel: &Address, service: &str) -> Result<Address, Fault> {
    let link = Link::open(dial, sentinel).await?;
    let question = ["SENTINEL".into(), "GET-MASTER-ADDR-BY-NAME".into(), service.to_owned().into()];
    let answer = link.ask(question).await?;
    let unknown =
        || Fault::refused(ErrorKind::InvalidConfig, format!("{sentinel} knows no master {service:?}"));
    let Some([host, port]) = answer.array() else { return Err(unknown()) };
    let (host, port) = (host.text().ok_or_else(unknown)?, port.text().ok_or_else(unknown)?);
    let port = port.parse().map_err(|_| unknown())?;
    Ok(Address::Tcp { host: host.to_owned(), port })
}

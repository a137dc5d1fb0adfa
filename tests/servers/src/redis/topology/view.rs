//! A node's view of its cluster.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::replication::ask;
use crate::redis::node::Node;
use crate::redis::wire::Reply;

/// The answer to `CLUSTER NODES`, by node id.
#[derive(Debug, Clone, Default)]
pub(in crate::redis) struct View(pub(super) BTreeMap<String, Member>);

#[derive(Debug, Clone)]
pub(in crate::redis) struct Member {
    flags: Vec<String>,
    /// The id of its master, if it is a replica.
    pub(in crate::redis) master: Option<String>,
    pub(in crate::redis) epoch: u64,
    connected: bool,
    pub(in crate::redis) slots: Vec<RangeInclusive<u16>>,
}

impl View {
    pub(in crate::redis) async fn of(node: &Node) -> Result<Self, String> {
        Self::parse(&ask(node, &["CLUSTER", "NODES"]).await?)
    }

    /// Merges views: each member is taken from the view that has it with the highest epoch, and among equal epochs
    /// from the view that knows of the latest election. A node that was cut off still reports its former role, with
    /// the same epoch under which the others know it.
    pub(in crate::redis) fn latest(mut views: Vec<Self>) -> Self {
        views.sort_by_key(|view| std::cmp::Reverse(view.epoch()));
        let mut latest = Self::default();
        for (id, member) in views.into_iter().flat_map(|view| view.0) {
            let known = latest.0.get(&id).is_some_and(|known| known.epoch >= member.epoch);
            if !known {
                latest.0.insert(id, member);
            }
        }
        latest
    }

    /// The epoch of the latest election that this view knows of.
    fn epoch(&self) -> u64 {
        self.0.values().map(|member| member.epoch).max().unwrap_or(0)
    }

    /// The epoch with which a node claims its slots.
    pub(in crate::redis) fn epoch_of(&self, id: &str) -> Option<u64> {
        self.0.get(id).map(|member| member.epoch)
    }

    /// The part on which all nodes must agree: each node's master and slots.
    pub(in crate::redis) fn roles(&self) -> BTreeMap<&str, (Option<&str>, &[RangeInclusive<u16>])> {
        self.0
            .iter()
            .map(|(id, member)| (id.as_str(), (member.master.as_deref(), &member.slots[..])))
            .collect()
    }

    pub(in crate::redis) fn serves(&self, id: &str, slot: u16) -> bool {
        self.0.get(id).is_some_and(|member| member.has(slot))
    }

    fn parse(reply: &Reply) -> Result<Self, String> {
        let text = reply.text();
        let members = text.lines().map(|line| Member::parse(line).ok_or_else(|| format!("unknown: {line}")));
        members.collect::<Result<_, _>>().map(Self)
    }
}

impl Member {
    pub(in crate::redis) fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }

    pub(in crate::redis) fn is_master(&self) -> bool {
        self.flag("master")
    }

    /// Whether the node that was asked does not consider it failed.
    pub(in crate::redis) fn is_well(&self) -> bool {
        self.connected && !["handshake", "fail", "fail?", "noaddr"].iter().any(|flag| self.flag(flag))
    }

    fn flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// `id address flags master ping pong epoch link slot slot ...`
    fn parse(line: &str) -> Option<(String, Self)> {
        let mut words = line.split(' ');
        let id = words.next()?.to_owned();
        let flags = words.nth(1)?.split(',').map(str::to_owned).collect();
        let master = Some(words.next()?).filter(|id| *id != "-").map(str::to_owned);
        let epoch = words.nth(2)?.parse().ok()?;
        let connected = words.next()? == "connected";
        // A migrating slot is written in brackets.
        let slots = words.filter(|word| !word.starts_with('[')).map(range).collect::<Option<_>>()?;
        Some((id, Self { flags, master, epoch, connected, slots }))
    }
}

fn range(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_lines_of_cluster_nodes_are_parsed() {
        let text = "a 127.0.0.1:1@2,host myself,master - 0 0 7 connected 0-5 9 [93->-b]\n\
                    b 127.0.0.1:2@3 slave,fail? a 0 0 7 disconnected\n";
        let view = View::parse(&Reply::Bulk(text.into())).unwrap();
        let (a, b) = (&view.0["a"], &view.0["b"]);
        assert!(a.is_master() && a.is_well() && a.epoch == 7 && a.master.is_none());
        assert!(a.has(5) && a.has(9) && !a.has(6) && !a.has(93) && view.serves("a", 0));
        assert!(!b.is_master() && !b.is_well() && b.master.as_deref() == Some("a"));
        assert!(View::parse(&Reply::Bulk(b"a 127.0.0.1:1@2\n".into())).is_err());
    }

    #[test]
    fn the_stale_view_of_a_replaced_master_is_not_used() {
        let view = |text: &str| View::parse(&Reply::Bulk(text.into())).unwrap();
        let itself =
            view("old h:1@2 myself,master - 0 0 7 connected 0-9\nnew h:1@2 slave old 0 0 7 connected\n");
        let others =
            view("old h:1@2 master,fail - 0 0 7 connected\nnew h:1@2 master - 0 0 8 connected 0-9\n");
        for views in [vec![itself.clone(), others.clone()], vec![others, itself]] {
            let latest = View::latest(views);
            assert!(latest.serves("new", 9) && !latest.serves("old", 9));
        }
    }
}

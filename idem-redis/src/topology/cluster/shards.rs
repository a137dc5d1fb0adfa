//! Which servers of a cluster hold the same data, by their ids. The ids identify the cluster, and tell which servers could
//! take over from a master.

use std::collections::{HashMap, HashSet};

use crate::topology::cluster::view::View;

/// How many ids are remembered. Beyond that, only those of the current view are kept.
const MAX_IDS: usize = 4_096;

/// The shards of a cluster: a master and its replicas are a shard. A replica that is no longer seen still belongs to its
/// shard, since it may come back and be promoted. A replica that is seen in another shard belongs to that one.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    shard_of: HashMap<String, u32>,
    /// The last known master of each shard.
    masters: HashMap<u32, String>,
    next: u32,
    /// How many servers the last view had.
    last_size: usize,
    /// The epoch of the last view.
    epoch: u64,
}

impl Shards {
    /// Whether `view` is of the known cluster. An address may belong to another cluster by now. The cluster is recognised
    /// when half of the servers in `view`, or half as many as the last view had, are known.
    pub(crate) fn recognize(&self, view: &View) -> bool {
        let ids = ids(view);
        let known = ids.iter().filter(|id| self.shard_of.contains_key(**id)).count();
        known * 2 >= ids.len().min(self.last_size)
    }

    /// Adopts a view of the cluster, unless it is older than the last one, or empty. Returns whether it did.
    pub(crate) fn learn(&mut self, view: &View) -> bool {
        if view.epoch < self.epoch || view.ranges.is_empty() {
            return false;
        }
        self.epoch = view.epoch;
        let ids = ids(view);
        self.last_size = ids.len();
        if self.shard_of.len() + ids.len() > MAX_IDS {
            self.shard_of.retain(|id, _| ids.contains(id.as_str()));
            self.masters.retain(|_, master| ids.contains(master.as_str()));
        }
        let masters: HashSet<_> = view.ranges.iter().map(|range| range.master.id.as_str()).collect();
        for range in &view.ranges {
            let master = range.master.id.as_str();
            let shard = self.shard_of.get(master).copied().filter(|shard| {
                let before = self.masters.get(shard).map(String::as_str);
                // A former replica that has slots while its former master still has some starts a new shard.
                before.is_none_or(|before| before == master || !masters.contains(before))
            });
            let shard = shard.unwrap_or_else(|| {
                self.next += 1;
                self.next
            });
            if self.masters.get(&shard).map(String::as_str) != Some(master) {
                self.masters.insert(shard, master.to_owned());
                self.shard_of.insert(master.to_owned(), shard);
            }
            for replica in &range.replicas {
                if self.shard_of.get(replica) != Some(&shard) {
                    self.shard_of.insert(replica.clone(), shard);
                }
            }
        }
        true
    }

    /// How many servers besides the master are in the shard of each master, in the order of the ranges of `view`.
    pub(crate) fn replicas<'a>(&'a self, view: &'a View) -> impl Iterator<Item = u8> + 'a {
        let mut servers = HashMap::<u32, usize>::new();
        for shard in self.shard_of.values() {
            *servers.entry(*shard).or_default() += 1;
        }
        view.ranges.iter().map(move |range| {
            let shard = self.shard_of.get(&range.master.id);
            let servers = shard.and_then(|shard| servers.get(shard)).copied().unwrap_or_default();
            u8::try_from(servers.saturating_sub(1)).unwrap_or(u8::MAX)
        })
    }
}

fn ids(view: &View) -> HashSet<&str> {
    view.ranges
        .iter()
        .flat_map(|range| range.replicas.iter().chain([&range.master.id]))
        .map(String::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::address::Address;
    use crate::topology::cluster::view::{Member, Range};

    /// A view with these masters and their replicas: `"a:x,y b:z"`.
    fn view(shards: &str) -> View {
        let range = |(at, shard): (u16, &str)| {
            let (master, replicas) = shard.split_once(':').unwrap_or((shard, ""));
            let address = Address::Tcp { host: master.to_owned(), port: 1 };
            Range {
                first: at,
                last: at,
                master: Member { address, id: master.to_owned() },
                replicas: replicas.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
            }
        };
        View { epoch: 1, is_ok: true, ranges: (0..).zip(shards.split(' ')).map(range).collect() }
    }

    fn after(views: &[&str]) -> Shards {
        let mut shards = Shards::default();
        for shown in views {
            let view = view(shown);
            assert!(shards.recognize(&view), "{shown} of {views:?}");
            assert!(shards.learn(&view), "{shown} of {views:?}");
        }
        shards
    }

    fn replicas(views: &[&str]) -> Vec<u8> {
        let last = view(views.last().map_or("", |last| last));
        after(views).replicas(&last).collect()
    }

    #[test]
    fn a_replica_that_is_gone_is_counted_until_it_serves_another_master() {
        assert_eq!(replicas(&["a:x b:y"]), [1, 1]);
        assert_eq!(replicas(&["a:x b:y", "a b:y"]), [1, 1]);
        assert_eq!(replicas(&["a:x b:y", "x b:y"]), [1, 1], "the old master may come back");
        assert_eq!(replicas(&["a:x b:y", "x b:y", "x:a b:y"]), [1, 1]);
        assert_eq!(replicas(&["a:x,z b:y", "a:x b", "a:x b:z"]), [1, 2], "y may come back");
        assert_eq!(replicas(&["a:x b:y", "a:x,z b:y"]), [2, 1], "one more replica");
        assert_eq!(replicas(&["a:x", "a:x b:y"]), [1, 1], "one more master");
        assert_eq!(replicas(&["a:x,z b:y", "a:z b:y x"]), [1, 1, 0], "x has slots of its own now");
    }

    #[test]
    fn another_cluster_is_recognised_by_its_ids() {
        let known = after(&["a:x b:y c:z"]);
        for (shown, same) in [
            ("a:x b:y c:z", true),
            ("a:x b:y c:z d:1,2 e:3,4 f:5,6", true),
            ("x y z", true),
            ("a b", true),
            ("a", true),
            ("1:2 3:4 5:6", false),
            ("a:2 3:4 5:6", false),
            ("1", false),
        ] {
            assert_eq!(known.recognize(&view(shown)), same, "{shown}");
        }
        assert!(Shards::default().recognize(&view("1:2 3:4")), "the first cluster is believed");
    }

    #[test]
    fn an_older_view_changes_nothing() {
        let mut shards = after(&["a:x b:y"]);
        assert!(!shards.learn(&View { epoch: 0, ..view("a:x,z b:y") }));
        assert!(!shards.learn(&View { epoch: 9, is_ok: false, ranges: Vec::new() }));
        assert!(!shards.recognize(&view("1:2")), "an empty view does not erase the known ids");
        assert_eq!(shards.replicas(&view("a b")).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn the_number_of_remembered_ids_is_bounded() {
        let mut shards = Shards::default();
        for turn in 0..3_000 {
            shards.learn(&view(&format!("a:{turn} b:x{turn}")));
        }
        assert!(shards.shard_of.len() <= MAX_IDS, "{}", shards.shard_of.len());
        assert!(shards.recognize(&view("a b")));
    }
}

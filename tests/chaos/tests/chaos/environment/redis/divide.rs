//! Clusters that can be partitioned. The first master is inside; so is the first of its replicas, where it has several.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;

use idem_servers::redis::{Cluster, ServerKind, ServerOptions};

use crate::environment::redis::cluster::{options, with_replicas_user};
use crate::environment::redis::netns::Network;
use crate::environment::redis::proxy::{INSIDE, OUTSIDE, Ports, Proxies};
use crate::judge::history::now;
use crate::rng::Rng;

/// The environment variable that, set to `proxies`, asks for proxies even where network namespaces are available.
const CHOICE: &str = "IDEM_CHAOS_PARTITION";

/// Fields drop in their order: the cluster first, then the network that divides it.
pub(crate) struct Divided {
    pub(crate) cluster: Cluster,
    by: By,
}

enum By {
    Namespace(Network),
    Proxies(Proxies),
}

impl Divided {
    /// Divided by network namespaces, or by proxies where the machine refuses namespaces.
    pub(crate) async fn start(kind: ServerKind, replicas: usize) -> Self {
        if std::env::var(CHOICE).is_ok_and(|choice| choice == "proxies") {
            return Self::by_proxies(kind, replicas).await;
        }
        match Network::create() {
            Ok(network) => Self::by_namespace(kind, replicas, network).await,
            Err(refused) => {
                println!("no network namespaces, so proxies stand in for them: {refused}");
                Self::by_proxies(kind, replicas).await
            }
        }
    }

    async fn by_namespace(kind: ServerKind, replicas: usize, network: Network) -> Self {
        let (prefix, sides) = (network.prefix().map(str::to_owned), [network.inside(), network.outside()]);
        let each = move |number, options: ServerOptions| {
            let options = with_replicas_user(options);
            if is_inside(number, replicas) {
                options.prefix(prefix.clone()).host(sides[0])
            } else {
                options.host(sides[1])
            }
        };
        let cluster = options(kind).replicas(replicas).each(each).start().await;
        Self { cluster, by: By::Namespace(network) }
    }

    pub(crate) async fn by_proxies(kind: ServerKind, replicas: usize) -> Self {
        let mut proxies = Proxies::new();
        let mut nodes = Vec::new();
        for number in 0..3 * (1 + replicas) {
            let host = if is_inside(number, replicas) { INSIDE } else { OUTSIDE };
            let node = SocketAddr::new(host, free_port(host));
            nodes.push((node, proxies.add(node).await));
        }
        let nodes = Arc::new(nodes);
        let each = move |number: usize, options: ServerOptions| {
            let (node, Ports { clients, bus }) = nodes[number];
            with_replicas_user(options)
                .host(node.ip())
                .port(node.port())
                .config(format!("bind-source-addr {}", node.ip()))
                .config("cluster-announce-ip 127.0.0.1")
                .config(format!("cluster-announce-port {clients}"))
                .config(format!("cluster-announce-bus-port {bus}"))
        };
        let cluster = options(kind).replicas(replicas).each(each).start().await;
        Self { cluster, by: By::Proxies(proxies) }
    }

    /// The command prefix that runs a program inside.
    pub(crate) fn prefix(&self) -> Vec<&str> {
        match &self.by {
            By::Namespace(network) => network.prefix().to_vec(),
            By::Proxies(_) => Vec::new(),
        }
    }

    pub(crate) fn cut(&self) {
        match &self.by {
            By::Namespace(network) => network.cut(),
            By::Proxies(proxies) => proxies.cut(),
        }
    }

    pub(crate) fn heal(&self) {
        match &self.by {
            By::Namespace(network) => network.heal(),
            By::Proxies(proxies) => proxies.heal(),
        }
    }

    /// Makes the first node the master again, where an earlier round left another in its place.
    pub(crate) async fn restore(&self) {
        let first = self.cluster.nodes()[0].clone();
        if !self.cluster.masters().await.contains(&first) {
            self.cluster.failover(&first).await;
            self.cluster.wait_ok().await;
        }
    }
}

fn is_inside(number: usize, replicas: usize) -> bool {
    number == 0 || replicas > 1 && number == 3
}

/// A free port whose bus port is free too, both below the range that the system uses for outgoing connections.
fn free_port(host: IpAddr) -> u16 {
    let mut rng = Rng::new(now());
    loop {
        let port = u16::try_from(10_000 + rng.below(12_000)).unwrap();
        let is_free = |port| TcpListener::bind((host, port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

//! A network on this machine that can be partitioned: one side is a network namespace, the other is where the tests
//! run.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

const NAME: &str = "idem-chaos-";

/// Dropping it removes the namespace and the bridge.
#[derive(Debug)]
pub(crate) struct Network {
    namespace: String,
    bridge: String,
    /// The bridge's end of the veth pair whose other end is in the namespace.
    port: String,
    net: [u8; 3],
}

impl Network {
    /// # Errors
    /// When the machine does not support it, or this process lacks the rights.
    pub(crate) fn create() -> io::Result<Self> {
        remove_abandoned()?;
        let id = std::process::id();
        let [.., high, low] = id.to_be_bytes();
        let network = Self {
            namespace: format!("{NAME}{id}"),
            bridge: format!("ich{id}b"),
            port: format!("ich{id}p"),
            // In 10.192.0.0/10, a private range that is seldom used.
            net: [10, 0b1100_0000 | high & 0b11_1111, low],
        };
        let (namespace, bridge, port) = (&network.namespace, &network.bridge, &network.port);
        let inside = format!("ich{id}i");
        ip(&["netns", "add", namespace])?;
        ip(&["link", "add", "name", bridge, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{}/24", network.outside()), "dev", bridge])?;
        ip(&["link", "set", bridge, "up"])?;
        ip(&["link", "add", port, "type", "veth", "peer", "name", &inside, "netns", namespace])?;
        ip(&["link", "set", port, "master", bridge, "up"])?;
        ip(&["-n", namespace, "addr", "add", &format!("{}/24", network.inside()), "dev", &inside])?;
        ip(&["-n", namespace, "link", "set", &inside, "up"])?;
        ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        Ok(network)
    }

    /// The address in the namespace.
    pub(crate) fn inside(&self) -> IpAddr {
        self.address(2)
    }

    /// The address of the tests' side.
    pub(crate) fn outside(&self) -> IpAddr {
        self.address(1)
    }

    /// The command prefix that runs a program in the namespace.
    pub(crate) fn prefix(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.namespace]
    }

    /// Takes the link down: packets are lost, connections stay open.
    pub(crate) fn cut(&self) {
        ip(&["link", "set", &self.port, "down"]).unwrap();
    }

    pub(crate) fn heal(&self) {
        ip(&["link", "set", &self.port, "up"]).unwrap();
    }

    fn address(&self, host: u8) -> IpAddr {
        let [a, b, c] = self.net;
        IpAddr::V4(Ipv4Addr::new(a, b, c, host))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.namespace, &self.bridge);
    }
}

/// The veth pair is removed with its end in the namespace.
fn remove(namespace: &str, bridge: &str) {
    for command in [&["netns", "del", namespace][..], &["link", "del", bridge]] {
        // A network whose creation failed lacks some of these.
        let _ = ip(command);
    }
}

/// Removes the networks of processes that were killed before they could do so themselves.
fn remove_abandoned() -> io::Result<()> {
    let list = ip(&["netns", "list"])?;
    for namespace in list.lines().filter_map(|line| line.split(' ').next()) {
        if let Some(id) = namespace.strip_prefix(NAME)
            && !std::fs::exists(format!("/proc/{id}"))?
        {
            remove(namespace, &format!("ich{id}b"));
        }
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}", arguments.join(" "), message.trim())))
}

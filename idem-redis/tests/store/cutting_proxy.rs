//! A proxy before a server that can be cut at the worst moments.

use std::sync::{Arc, Mutex};

use idem_servers::redis::Node;

use crate::proxy::{Act, Proxy, has};

/// When a connection is cut that carries a certain command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server gets it.
    Before,
    /// Once the server has answered it, before the client gets the answer.
    After,
}

struct Order {
    word: &'static str,
    cut: Cut,
    times: u32,
}

/// Hands on what comes until it is told to cut. Ends with all its connections when it is dropped.
pub(crate) struct CuttingProxy {
    proxy: Proxy,
    order: Arc<Mutex<Option<Order>>>,
}

impl CuttingProxy {
    pub(crate) async fn before(server: &Node) -> Self {
        let order = Arc::new(Mutex::new(None));
        let proxy = Proxy::start(server, {
            let order = Arc::clone(&order);
            move |_, request| match cuts(&order, request) {
                None => Act::Pass,
                Some(Cut::Before) => Act::End,
                Some(Cut::After) => Act::LoseAnswer,
            }
        });
        Self { proxy: proxy.await, order }
    }

    pub(crate) fn node(&self) -> Node {
        self.proxy.node()
    }

    /// Cuts the next `times` connections that carry the command `word`.
    pub(crate) fn cut(&self, word: &'static str, cut: Cut, times: u32) {
        *self.order.lock().unwrap() = Some(Order { word, cut, times });
    }

    /// Whether every cut that was ordered has been made.
    pub(crate) fn is_done(&self) -> bool {
        self.order.lock().unwrap().is_none()
    }

    pub(crate) fn heal(&self) {
        *self.order.lock().unwrap() = None;
    }
}

/// Takes one cut off the order, where this request is meant.
fn cuts(order: &Mutex<Option<Order>>, request: &[u8]) -> Option<Cut> {
    let mut order = order.lock().unwrap();
    let ordered = order.as_mut()?;
    if !has(request, &format!("\r\n{}\r\n", ordered.word)) {
        return None;
    }
    let cut = ordered.cut;
    ordered.times -= 1;
    if ordered.times == 0 {
        *order = None;
    }
    Some(cut)
}

//! A proxy in front of a server, whose connections can be cut at the worst moments.

use std::sync::{Arc, Mutex};

use idem_servers::redis::Node;

use crate::proxy::{Act, Proxy, has};

/// When to cut a connection that carries a certain command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server gets the command.
    Before,
    /// After the server has answered the command, before the client gets the answer.
    After,
}

struct Order {
    word: &'static str,
    cut: Cut,
    times: u32,
}

/// Passes everything on until it is told to cut. When it is dropped, all its connections end.
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

    /// Whether every requested cut has been made.
    pub(crate) fn is_done(&self) -> bool {
        self.order.lock().unwrap().is_none()
    }

    pub(crate) fn heal(&self) {
        *self.order.lock().unwrap() = None;
    }
}

/// Counts down the requested cuts if `request` has the word. Returns how to cut.
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

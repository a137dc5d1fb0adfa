//! What layers outside put around the future of an answer, and limits inside that a request waits for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use idem_core::Scope;
use idem_core::error::Operation;
use idem_http::{IdempotencyLayer, RequestUri};
use idem_moka::{MokaConfig, MokaStore};
use tokio::time::timeout;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{Fault, FaultyStore, Gate, post, shared_scope};

const HOUR: Duration = Duration::from_hours(1);

tokio::task_local! {
    static TENANT: u64;
}

/// The layer outside sets the task-local around the future that `inner.call(request)` returns.
#[tokio::test]
async fn a_scope_sees_what_the_layer_outside_sets_for_the_future_of_the_answer() {
    let seen = Arc::new(Mutex::new(None));
    let saw = Arc::clone(&seen);
    let store = MokaStore::new(MokaConfig::default()).unwrap();
    let layer = IdempotencyLayer::builder(store, move |_| {
        *saw.lock().unwrap() = TENANT.try_get().ok();
        Ok(Scope::shared())
    });
    let layer = layer.request_uri(RequestUri::Unchanged).build().unwrap();
    let handler = service_fn(|_| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) });
    let mut inner = ServiceBuilder::new().layer(layer).service(handler);
    let request: Request<Body> = post("k", "");
    let answer = inner.call(request);
    TENANT.scope(7, answer).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(7));
}

type Parents = Arc<Mutex<Vec<Option<&'static str>>>>;

/// Records the parents of the layer's spans.
struct Heard(Parents);

impl<S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>>
    tracing_subscriber::Layer<S> for Heard
{
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        if attributes.metadata().name() == "idem.http" {
            let parent = context.span(id).unwrap().parent().map(|parent| parent.name());
            self.0.lock().unwrap().push(parent);
        }
    }
}

#[tokio::test]
async fn the_layers_span_is_in_the_one_that_instruments_the_future_of_the_answer() {
    let parents = Parents::default();
    let subscriber = tracing_subscriber::registry().with(Heard(Arc::clone(&parents)));
    let _default = tracing::subscriber::set_default(subscriber);
    let handler = service_fn(|_| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) });
    let mut inner = ServiceBuilder::new().layer(crate::support::bare_layer()).service(handler);
    let request: Request<Body> = post("k", "");
    inner.call(request).instrument(tracing::info_span!("request")).await.unwrap();
    assert_eq!(*parents.lock().unwrap(), [Some("request")]);
}

#[tokio::test]
async fn a_request_that_gave_up_its_turn_holds_no_permit_while_its_key_is_released() {
    let store = FaultyStore::new();
    let releasing = Gate::new();
    store.fail(Operation::Release, Fault::Held(releasing.clone()));
    let gate = Gate::new();
    let waits = gate.clone();
    let handler = service_fn(move |_| {
        let waits = waits.clone();
        async move {
            waits.pass().await;
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }
    });
    let layer = shared_scope(Arc::new(store)).request_uri(RequestUri::Unchanged);
    let layer = layer.handler_timeout(Duration::from_millis(20)).store_timeout(HOUR).build().unwrap();
    let service = ServiceBuilder::new().layer(layer).concurrency_limit(1).service(handler);
    // The layer does not act on a request without a key.
    let plain = || Request::post("/").body(Body::empty()).unwrap();
    let first = tokio::spawn(service.clone().oneshot(plain()));
    gate.entered().await;
    let gave_up = tokio::spawn(service.clone().oneshot(post("k", "")));
    releasing.entered().await;
    let third = tokio::spawn(service.clone().oneshot(plain()));
    gate.open();
    first.await.unwrap().unwrap();
    timeout(Duration::from_secs(10), gate.entered()).await.unwrap();
    gate.open();
    third.await.unwrap().unwrap();
    releasing.open();
    gave_up.await.unwrap().unwrap();
}

//! Each decision has a span with its answer, and nothing that a client sent appears in it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use idem_core::ErrorKind;
use idem_core::error::Operation;
use idem_http::KeyRule;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::support::{App, Fault, FaultyStore, Gate, post};

const SECRET: &str = "a-key-that-nobody-may-see";

/// Everything that is traced, and the fields of the layer's spans.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<(String, Vec<Named>)>>);

type Named = BTreeMap<String, String>;

#[derive(Default)]
struct Fields(Named);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        write!(self.0.lock().unwrap().0, "{} {:?} ", attributes.metadata().name(), fields.0).unwrap();
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        let fields = extensions.get_mut::<Fields>().unwrap();
        values.record(fields);
        write!(self.0.lock().unwrap().0, "{:?} ", fields.0).unwrap();
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        write!(self.0.lock().unwrap().0, "{:?} ", fields.0).unwrap();
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.name() == "idem.http" {
            let fields = std::mem::take(&mut span.extensions_mut().get_mut::<Fields>().unwrap().0);
            self.0.lock().unwrap().1.push(fields);
        }
    }
}

/// Sends a request of nearly every kind. [`ANSWERS`] has their answers in the order in which their spans close.
async fn requests() {
    let store = FaultyStore::new();
    let gate = Gate::new();
    let held = gate.clone();
    let handler = move |body: String| async move {
        match body.as_str() {
            "slow" => held.pass().await,
            "panic" => panic!("as the test says"),
            _ => {}
        }
        http::StatusCode::from_bytes(body.as_bytes()).unwrap_or_default()
    };
    let app = App::over(Arc::new(store.clone()), handler, |builder| {
        builder.key(KeyRule::Required).max_body(10).store_timeout(std::time::Duration::from_millis(20))
    });
    let key = |suffix: &str| format!("{SECRET}{suffix}");
    app.ask(post(&key(""), "")).await;
    app.ask(post(&key(""), "")).await;
    app.ask(post(&key(""), "other")).await;
    app.ask(post(&key("503"), "503")).await;
    app.ask(post(&key("panic"), "panic")).await;
    app.ask(post(&key("panic"), "panic")).await;
    app.ask(post(&key("large"), "more than ten")).await;
    tokio::join!(app.ask(post(&key("slow"), "slow")), async {
        gate.entered().await;
        app.ask(post(&key("slow"), "slow")).await;
        gate.open();
    });
    store.fail(Operation::Complete, Fault::Refused(ErrorKind::Unavailable));
    app.ask(post(&key("unknown"), "")).await;
    store.fail_all(&Fault::Refused(ErrorKind::Unavailable));
    app.ask(post(&key("down"), "")).await;
}

const ANSWERS: [&str; 11] = [
    "executed",
    "replayed",
    "key_reused",
    "released",
    "executed",
    "not_kept",
    "body_too_large",
    "in_flight",
    "executed",
    "not_recorded",
    "store_unavailable",
];

#[tokio::test]
async fn each_decision_has_a_span_with_its_answer_and_no_client_text() {
    let heard = Heard::default();
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
    // Another test of this process may be the first to reach a span, and cache that nobody listens, just before this test
    // does listen.
    requests().await;
    tracing::callsite::rebuild_interest_cache();
    *heard.0.lock().unwrap() = Default::default();
    requests().await;
    drop(guard);
    let (all, spans) = &*heard.0.lock().unwrap();
    let answers: Vec<_> = spans.iter().map(|span| span["answer"].trim_matches('"')).collect();
    assert_eq!(answers, ANSWERS);
    let keys: Vec<_> = spans.iter().map(|span| span.get("key").map(String::as_str)).collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].unwrap().len(), 12, "a digest: {keys:?}");
    assert!(all.contains("idem.http") && all.contains("the store failed"), "it hears spans and events");
    assert!(!all.contains("nobody-may-see"), "{all}");
}

#[test]
fn each_answer_is_counted() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(requests());
    });
    let mut counted: Vec<(String, u64)> = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        if let DebugValue::Counter(count) = value
            && key.name() == idem_http::metrics::ANSWERS
        {
            let label = key.labels().next().unwrap();
            assert_eq!(label.key(), "answer");
            counted.push((label.value().to_owned(), count));
        }
    }
    counted.sort();
    let mut expected: Vec<(String, u64)> = Vec::new();
    let mut answers = ANSWERS.to_vec();
    answers.sort_unstable();
    for chunk in answers.chunk_by(|a, b| a == b) {
        expected.push((chunk[0].to_owned(), chunk.len() as u64));
    }
    assert_eq!(counted, expected);
}

//! What `tracing` gets: a span for each `execute` and each call of the store, and nothing that a client sent.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use idem_core::error::Operation;
use idem_core::metrics::Observed;
use idem_core::{Claim, ErrorKind, Fingerprint, Key, Outcome, Owner, Scope, Store, StoreExt};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::support::{Fault, LEASE, Scripted, bob, book, key, lock, order, policy, try_book};

const SECRET: &str = "s3cr3t";

#[derive(Debug, Clone, Default)]
struct Span {
    name: &'static str,
    level: Option<Level>,
    inside: Option<&'static str>,
    fields: BTreeMap<&'static str, String>,
}

impl Span {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

/// Keeps every span in the order in which they began, and the text of every event.
#[derive(Debug, Clone, Default)]
struct Capture {
    spans: Arc<Mutex<BTreeMap<u64, Span>>>,
    order: Arc<Mutex<Vec<u64>>>,
    events: Arc<Mutex<String>>,
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let inside = context.span(id).and_then(|span| span.parent()).map(|parent| parent.name());
        let mut span =
            Span { name: metadata.name(), level: Some(*metadata.level()), inside, fields: BTreeMap::new() };
        attributes.record(&mut Fields(&mut span.fields));
        // A subscriber may reuse an id once its span is closed.
        let mut order = self.order.lock().unwrap();
        let number = order.len() as u64;
        order.push(id.into_u64());
        self.spans.lock().unwrap().insert(number, span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let latest = self.order.lock().unwrap().iter().rposition(|begun| *begun == id.into_u64()).unwrap();
        let mut spans = self.spans.lock().unwrap();
        values.record(&mut Fields(&mut spans.get_mut(&(latest as u64)).unwrap().fields));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        writeln!(self.events.lock().unwrap(), "{fields:?}").unwrap();
    }
}

/// Runs `scenario` in paused time, and returns its spans and the text of its events.
fn capture<F: Future<Output = ()>>(
    scenario: impl FnOnce(Scripted, Observed<Scripted>) -> F,
) -> (Vec<Span>, String) {
    let capture = Capture::default();
    let subscriber = tracing_subscriber::registry().with(capture.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    tracing::subscriber::with_default(subscriber, || {
        runtime.unwrap().block_on(async {
            let store = Scripted::new();
            scenario(store.clone(), Observed::new(store)).await;
        });
    });
    let spans = capture.spans.lock().unwrap().values().cloned().collect();
    let events = capture.events.lock().unwrap().clone();
    (spans, events)
}

fn named(spans: &[Span], name: &str) -> Vec<Span> {
    spans.iter().filter(|span| span.name == name).cloned().collect()
}

#[test]
fn execution_has_a_span_with_its_key_attempt_and_end() {
    let (spans, _) = capture(|_, store| async move {
        let _held = lock(&store, &bob()).await;
        tokio::time::advance(LEASE).await;
        let _second = book(&store, &policy(), "booked").await;
        let _replayed = book(&store, &policy(), "again").await;
    });
    let executions = named(&spans, "idem.execute");
    let shown = executions.iter().map(|span| (span.field("attempt"), span.field("outcome")));
    assert_eq!(shown.collect::<Vec<_>>(), [(Some("2"), Some("executed")), (None, Some("replayed"))]);
    for span in &executions {
        assert_eq!(span.level, Some(Level::DEBUG));
        assert_eq!(span.field("key"), Some(key().to_string().as_str()));
    }
}

#[test]
fn each_call_of_an_observed_store_has_a_span_inside_the_executions() {
    let (spans, _) = capture(|scripted, store| async move {
        scripted.fail(Operation::Complete, &[Fault::Before(ErrorKind::Timeout)]);
        let _executed = book(&store, &policy(), "booked").await;
    });
    let calls = named(&spans, "idem.store");
    let shown = calls.iter().map(|span| (span.field("operation").unwrap(), span.field("answer").unwrap()));
    let expected = [("lock", "acquired"), ("complete", "timeout"), ("complete", "applied")];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    for span in &calls {
        assert_eq!((span.level, span.inside), (Some(Level::TRACE), Some("idem.execute")));
        assert_eq!(span.field("key"), Some(key().to_string().as_str()));
    }
}

#[test]
fn work_runs_inside_the_span_of_its_execution() {
    let (spans, _) = capture(|_, store| async move {
        let work = |_| async {
            tracing::info_span!("of the work").in_scope(|| ());
            Ok::<_, ()>(())
        };
        let _executed = store.execute(&key(), &order(), &policy(), work).await.unwrap();
    });
    assert_eq!(named(&spans, "of the work")[0].inside, Some("idem.execute"));
}

#[test]
fn call_without_a_key_has_a_span_too() {
    let (spans, _) = capture(|_, store| async move {
        let _none = store.expire(10).await.unwrap();
    });
    let shown = (spans[0].field("operation"), spans[0].field("answer"), spans[0].field("key"));
    assert_eq!(shown, (Some("expire"), Some("done"), None));
}

/// Also in the warnings about whatever goes wrong.
#[test]
fn nothing_that_a_client_sent_or_gets_is_shown() {
    let (spans, events) = capture(|scripted, store| async move {
        let secret_key = Key::new(&Scope::new(SECRET).unwrap(), SECRET).unwrap();
        let fingerprint = Fingerprint::builder(SECRET).part(SECRET).finish();
        let claim = Claim { owner: Owner::from_bytes(*b"s3cr3ts3cr3t____"), ..bob() };
        let _mismatch = store.lock(&secret_key, &fingerprint, &claim).await.unwrap();
        scripted.remove(&secret_key, true).await.unwrap();
        scripted.fail(Operation::Renew, &[Fault::Before(ErrorKind::Full), Fault::Silent]);
        scripted.fail(Operation::Complete, &[Fault::Before(ErrorKind::TooLarge)]);
        let work = |lease| async {
            let progress = Bytes::from_static(SECRET.as_bytes());
            let lease: idem_core::Lease = lease;
            let _saved = store.checkpoint(&lease, 1, progress, LEASE).await.unwrap();
            tokio::time::sleep(LEASE).await;
            Ok::<_, String>(SECRET.to_owned())
        };
        let _executed = store.execute(&secret_key, &fingerprint, &policy(), work).await.unwrap();
        scripted.remove(&secret_key, true).await.unwrap();
        scripted.fail_always(Operation::Release, Fault::Before(ErrorKind::Corrupt));
        let failing = |_| async { Err::<Outcome, _>(SECRET) };
        let _failed = store.execute_outcome(&secret_key, &fingerprint, &policy(), failing).await.unwrap();
        scripted.fail_always(Operation::Lock, Fault::After(ErrorKind::Timeout));
        let brief = policy().resend_for(Duration::from_secs(1));
        assert!(try_book(&store, &brief, SECRET).await.is_err());
    });
    assert!(named(&spans, "idem.store").len() > 8 && events.lines().count() > 3, "{spans:?} {events}");
    let shown = format!("{spans:?} {events}");
    assert!(!shown.contains(SECRET), "{shown}");
    let numbers = format!("{:?}", SECRET.as_bytes());
    assert!(!shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
    // A store writes the message of its errors, so a span shows only their kind.
    assert!(!format!("{spans:?}").contains("as the script says"), "{spans:?}");
}

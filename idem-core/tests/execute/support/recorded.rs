use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use idem_core::metrics::Observed;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::Scripted;

/// What was recorded, by name and labels, such as `idem_lock_total outcome=acquired`.
pub(crate) struct Seen {
    values: BTreeMap<String, DebugValue>,
    undescribed: Vec<String>,
}

impl Seen {
    /// The counters of this name, by their labels.
    #[track_caller]
    pub(crate) fn counts(&self, name: &str) -> Vec<(String, u64)> {
        let of_name = self.values.iter().filter_map(|(key, value)| {
            let labels = key.strip_prefix(name)?;
            match value {
                DebugValue::Counter(count) => Some((labels.trim_start().to_owned(), *count)),
                other => panic!("{key} is no counter: {other:?}"),
            }
        });
        of_name.collect()
    }

    pub(crate) fn seconds(&self, key: &str) -> Vec<f64> {
        match self.values.get(key) {
            Some(DebugValue::Histogram(values)) => values.iter().map(|value| value.into_inner()).collect(),
            other => panic!("{key} is no histogram: {other:?}"),
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The recorded names without a description.
    pub(crate) fn undescribed(&self) -> Vec<&str> {
        self.undescribed.iter().map(String::as_str).collect()
    }

    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.values.keys().map(|key| key.split(' ').next().unwrap_or_default()).collect()
    }
}

/// Runs `scenario` in paused time and returns what it recorded.
pub(crate) fn record<F: Future<Output = ()>>(
    scenario: impl FnOnce(Scripted, Observed<Scripted>) -> F,
) -> Seen {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    ::metrics::with_local_recorder(&recorder, || {
        runtime.unwrap().block_on(async {
            let store = Scripted::new();
            scenario(store.clone(), Observed::new(store)).await;
        });
    });
    let (mut values, mut undescribed) = (BTreeMap::new(), Vec::new());
    for (composite, _, description, value) in snapshotter.snapshot().into_vec() {
        let (_, key) = composite.into_parts();
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        values.insert(format!("{}{}", key.name(), labels.collect::<String>()), value);
        undescribed.extend(description.is_none().then(|| key.name().to_owned()));
    }
    Seen { values, undescribed }
}

/// Counters as [`Seen::counts`] returns them.
pub(crate) fn counted<const N: usize>(expected: [(&str, u64); N]) -> Vec<(String, u64)> {
    expected.map(|(labels, count)| (labels.to_owned(), count)).into()
}

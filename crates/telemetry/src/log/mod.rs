//! Logging: one event is one line, as text for people or as JSON for programs.
//!
//! An event's line also carries the fields of the spans around it, so that it reads well
//! alone; where two have the same name, the inner one stands.
//! Invariants:
//! - one event is exactly one line, whatever its values hold;
//! - a panic is an event too, without the values in its message: they may be contents.
//!
//! Trust: values come from strangers (host names, reply texts). Control characters and
//! those that turn the direction of text are escaped, and in text lines a value that could
//! be taken for more than one is quoted.

mod layer;
mod line;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use hikyaku_types::SystemClock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use layer::Lines;

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `2026-11-24T03:34:27.045Z INFO hikyaku_imap_server: signed in session=4f1c`
    #[default]
    Text,
    /// One JSON object a line: `time`, `level`, `target`, `message` and the fields.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter does not parse.
    #[error("the log filter `{filter}` is wrong: {reason}. Examples: `info`, `warn,hikyaku_store=debug`")]
    Filter {
        /// As it was given.
        filter: String,
        /// What the parser says.
        reason: tracing_subscriber::filter::ParseError,
    },
    /// Logging was started before.
    #[error("logging is set up already")]
    Twice(#[from] TryInitError),
}

/// Starts logging to standard error, for the whole process, and of panics too.
///
/// `filter` is a level or a list of `target=level`: `info`, `warn,hikyaku_store=debug`.
pub fn init(format: Format, filter: &str) -> Result<(), InitError> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|reason| InitError::Filter { filter: filter.to_owned(), reason })?;
    let lines = Lines::new(format, Arc::new(SystemClock), io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    // A literal is ours. A formatted message may quote what was being parsed.
    let reason = panic.payload().downcast_ref::<&'static str>().unwrap_or(&"(its message has values in it)");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, reason, "panic");
}

/// An error with all its causes, for the field `error`: `cannot write blob 7: disk full`.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| {
        write!(f, "{error}")?;
        let mut cause = error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;
    use hikyaku_types::{Clock, Timestamp};
    use std::sync::Mutex;
    use tracing::subscriber::with_default;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Noon;
    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_795_521_600)
        }
    }

    /// What `work` logs.
    fn logged(format: Format, work: impl FnOnce()) -> String {
        let output = Output::default();
        let writer = output.clone();
        let lines = Lines::new(format, Arc::new(Noon), move || writer.clone());
        with_default(tracing_subscriber::registry().with(lines), work);
        let bytes = output.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn a_delivery() {
        let session =
            tracing::info_span!("session", { field::SESSION } = "s-1", { field::PEER } = "192.0.2.1");
        let _in_session = session.enter();
        let delivery =
            tracing::info_span!("delivery", { field::TENANT } = "t-1", trace = tracing::field::Empty);
        let _in_delivery = delivery.enter();
        delivery.record(field::TRACE, "m-1");
        tracing::info!(
            { field::ACCOUNT } = "a-1",
            { field::EMAIL } = "e-1",
            { field::SHARD } = 0,
            { field::LABEL } = "mailstore.deliver",
            { field::DURATION_MS } = 1.5,
            { field::ERROR } = %"none",
            "stored {} message", 1
        );
    }

    #[test]
    fn a_text_line_reads_well_alone() {
        assert_eq!(
            logged(Format::Text, a_delivery),
            "2026-11-24T12:00:00.000Z INFO hikyaku_telemetry::log::tests: stored 1 message session=s-1 \
             peer=192.0.2.1 tenant=t-1 trace=m-1 account=a-1 email=e-1 shard=0 label=mailstore.deliver \
             duration_ms=1.5 error=none\n"
        );
    }

    #[test]
    fn a_json_line_carries_the_same_fields() {
        let line = logged(Format::Json, a_delivery);
        assert_eq!(line.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            object,
            serde_json::json!({
                "time": "2026-11-24T12:00:00.000Z", "level": "INFO", "target": "hikyaku_telemetry::log::tests",
                "message": "stored 1 message", "session": "s-1", "peer": "192.0.2.1", "tenant": "t-1",
                "trace": "m-1", "account": "a-1", "email": "e-1", "shard": 0, "label": "mailstore.deliver",
                "duration_ms": 1.5, "error": "none"
            })
        );
    }

    #[test]
    fn no_value_can_forge_a_line() {
        const FORGED: &str =
            "x\r\n2026-11-24T12:00:00.000Z INFO forged\u{85}\u{2028}\u{1b}[1A\u{9b}2K\u{202e}";
        for format in [Format::Text, Format::Json] {
            let lines = logged(format, || {
                let span = tracing::info_span!("session", peer = FORGED);
                let _inside = span.enter();
                tracing::warn!(reply = %FORGED, level = "ERROR", time = "never", list = ?[FORGED], "{FORGED}");
            });
            assert_eq!(lines.matches('\n').count(), 1, "{lines:?}");
            let line = lines.strip_suffix('\n').unwrap();
            for bad in ['\r', '\u{85}', '\u{2028}', '\u{1b}', '\u{9b}', '\u{202e}'] {
                assert!(!line.contains(bad), "{bad:?} in {line:?}");
            }
            if format == Format::Json {
                let object: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(object["level"], "WARN");
                assert_eq!(object["reply"], FORGED, "escaping loses nothing");
            }
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write blob 7")]
        struct Write(#[source] io::Error);
        let error = Write(io::Error::other("disk full"));
        assert_eq!(causes(&error).to_string(), "cannot write blob 7: disk full");
        let line = logged(Format::Text, || tracing::error!(error = &error as &dyn Error, "append failed"));
        assert!(line.ends_with("append failed error=\"cannot write blob 7: disk full\"\n"), "{line}");
    }

    #[test]
    fn a_wrong_filter_is_told_with_an_example() {
        let error = init(Format::Text, "info,hikyaku=loud").unwrap_err().to_string();
        assert!(error.starts_with("the log filter `info,hikyaku=loud` is wrong: "), "{error}");
        assert!(error.ends_with("Examples: `info`, `warn,hikyaku_store=debug`"), "{error}");
    }
}

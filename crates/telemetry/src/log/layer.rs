//! Collects an event's fields and those of its spans, and writes the line.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use hikyaku_types::Clock;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::line::{Fields, Line};
use super::{Format, causes};

/// Prints each event to what `writer` gives.
pub(super) struct Lines<W> {
    format: Format,
    clock: Arc<dyn Clock>,
    writer: W,
}

impl<W> Lines<W> {
    pub(super) fn new(format: Format, clock: Arc<dyn Clock>, writer: W) -> Self {
        Self { format, clock, writer }
    }
}

impl<S, W, O> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        // From the outermost span to the event itself, so that the inner value stands.
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(known) = span.extensions().get::<Fields>() {
                fields.extend(known);
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = Line {
            time: self.clock.now(),
            level: metadata.level().as_str(),
            target: metadata.target(),
            fields,
        };
        let line = match self.format {
            Format::Text => line.to_text(),
            Format::Json => line.to_json(),
        };
        // One write a line, so that lines of several threads do not mix. When it fails
        // there is nowhere left to say so.
        let _: io::Result<()> = (self.writer)().write_all(line.as_bytes());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set(field.name(), causes(value).to_string().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::String(format!("{value:?}")));
    }
}

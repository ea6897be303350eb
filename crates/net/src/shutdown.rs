//! The end of the process, as sessions learn of it.

use tokio::sync::watch;

/// Begins the end. Dropping it is the end, too.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<bool>);

/// Learns of the end.
#[derive(Debug, Clone)]
pub struct Ending(watch::Receiver<bool>);

impl Shutdown {
    /// Nothing ends yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// A way to learn of the end.
    pub fn ending(&self) -> Ending {
        Ending(self.0.subscribe())
    }

    /// From now on it is the end.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Ending {
    /// Has the end begun?
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits for it.
    pub async fn begun(&mut self) {
        // An error means that the sender is gone: the end as well.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

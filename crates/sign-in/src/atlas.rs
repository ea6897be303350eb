//! The databases of places in use: asked at each attempt, exchanged while the server runs.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use hikyaku_access::place::{Place, Places};

/// Shared by the gate, which asks, and whoever reads the files again.
#[derive(Debug, Clone, Default)]
pub struct Atlas(Arc<RwLock<Arc<Places>>>);

impl Atlas {
    /// With these databases.
    pub fn new(places: Places) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(places))))
    }

    /// Uses others from now on.
    pub fn exchange(&self, places: Places) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(places);
    }

    /// Where `ip` is, as far as it is known.
    pub fn place(&self, ip: IpAddr) -> Place {
        let places = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        places.of(ip)
    }
}

//! Which installation is meant.

use std::path::PathBuf;

use clap::ArgMatches;
use hikyaku_directory::{BlockBounds, BreachedPasswords};
use hikyaku_store::Location;

use super::refusal::Refusal;
use crate::services::usual_key_ring;
use crate::settings;

/// Where a package keeps it.
const USUAL: &str = "/var/lib/hikyaku";

/// An installation.
pub(super) struct Place {
    pub(super) data: PathBuf,
    pub(super) location: Location,
    pub(super) key_ring: PathBuf,
    /// Passwords that nobody may choose.
    pub(super) breached: Option<BreachedPasswords>,
    /// What tenants may choose about blocks.
    pub(super) blocking: BlockBounds,
}

pub(super) fn find(matches: &ArgMatches) -> Result<Place, Refusal> {
    if let Some(config) = matches.get_one::<PathBuf>("config") {
        let (settings, _) = settings::load(config).map_err(|error| Refusal::place(format!("{error:#}")))?;
        let settings::Settings { data, location, key_ring, breached, blocking, .. } = settings;
        return Ok(Place { data, location, key_ring, breached, blocking });
    }
    let data = matches.get_one::<PathBuf>("data").cloned();
    let data = data.or_else(|| std::env::var_os("HIKYAKU_DATA").map(PathBuf::from));
    let data = data.unwrap_or_else(|| USUAL.into());
    let location = match matches.get_one::<String>("postgres") {
        Some(url) => Location::Postgres { url: url.clone() },
        None => Location::Folder(data.clone()),
    };
    let (key_ring, blocking) = (usual_key_ring(&data), BlockBounds::default());
    Ok(Place { key_ring, data, location, breached: None, blocking })
}

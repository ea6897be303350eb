//! Databases of places, whose publishers make new ones each week or day.

use hikyaku_sign_in::Atlas;

use super::{Files, Outcome};
use crate::settings::places::{PlaceFiles, Version};

/// The databases of an atlas and the files that they came from.
#[derive(Debug)]
pub(crate) struct FreshPlaces {
    atlas: Atlas,
    files: PlaceFiles,
    /// What was found at the last look, or why nothing was.
    seen: Result<Version, String>,
    /// Why that cannot be used.
    refused: Option<String>,
}

impl FreshPlaces {
    /// `atlas` has what `files` say.
    pub(crate) fn new(atlas: Atlas, files: PlaceFiles) -> Self {
        Self { seen: version(&files), atlas, files, refused: None }
    }
}

impl Files for FreshPlaces {
    fn name(&self) -> &'static str {
        "databases of places"
    }

    fn look(&mut self, is_asked: bool) -> Outcome {
        let found = version(&self.files);
        if found == self.seen {
            let told = self.refused.clone().filter(|_| is_asked);
            return told.map_or(Outcome::Unchanged, Outcome::Kept);
        }
        self.seen.clone_from(&found);
        let read = found.and_then(|_| self.files.read().map_err(|error| error.to_string()));
        self.refused = read.as_ref().err().cloned();
        match read {
            Ok(places) => {
                self.atlas.exchange(places);
                Outcome::Exchanged
            }
            Err(error) => Outcome::Kept(error),
        }
    }
}

fn version(files: &PlaceFiles) -> Result<Version, String> {
    files.version().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hikyaku_testkit::mmdb::Value::{Map, Text};
    use hikyaku_testkit::mmdb::{Family, write};

    use super::*;

    fn database(country: &'static str) -> Vec<u8> {
        write(Family::V4, &[("192.0.2.0/24", Map(vec![("country_code", Text(country))]))])
    }

    #[test]
    fn what_is_new_and_good_is_used_and_the_rest_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.mmdb");
        let put = |content: &[u8]| {
            let new = folder.path().join("new");
            fs::write(&new, content).unwrap();
            fs::rename(&new, &path).unwrap();
        };
        put(&database("JP"));
        let files = PlaceFiles(vec![path.clone()]);
        let atlas = Atlas::new(files.read().unwrap());
        let mut fresh = FreshPlaces::new(atlas.clone(), files);
        let country = || atlas.place("192.0.2.7".parse().unwrap()).country.map(|country| country.to_string());
        assert_eq!((fresh.look(true), country().as_deref()), (Outcome::Unchanged, Some("JP")));

        // A damaged file: told once, and again to who asks.
        put(b"half of a fi");
        let kept =
            |outcome| matches!(outcome, Outcome::Kept(cause) if cause.contains("no database of places"));
        assert!(kept(fresh.look(false)));
        assert_eq!(fresh.look(false), Outcome::Unchanged);
        assert!(kept(fresh.look(true)));
        assert_eq!(country().as_deref(), Some("JP"));

        put(&database("PT"));
        assert_eq!((fresh.look(false), country().as_deref()), (Outcome::Exchanged, Some("PT")));
        assert_eq!(fresh.look(false), Outcome::Unchanged);

        fs::remove_file(&path).unwrap();
        assert!(matches!(fresh.look(false), Outcome::Kept(cause) if cause.contains("cannot read")));
        assert_eq!(fresh.look(false), Outcome::Unchanged);
        assert_eq!(country().as_deref(), Some("PT"));
        put(&database("DE"));
        assert_eq!((fresh.look(false), country().as_deref()), (Outcome::Exchanged, Some("DE")));
    }
}

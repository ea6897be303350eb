//! Rule: everything that is built into the program or its tests has a licence that lets
//! others use the program freely. The list stands in `docs/dependencies.md` too.

use crate::spdx::satisfied;
use crate::workspace::Package;

const ALLOWED: [&str; 12] = [
    "Apache-2.0",
    // The exception only grants more.
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The only packages whose licence may be MPL-2.0, unmodified.
const MPL: [&str; 7] = [
    "base64urlsafedata",
    "cssparser",
    "cssparser-macros",
    "dtoa-short",
    "webauthn-rs",
    "webauthn-rs-core",
    "webauthn-rs-proto",
];

/// What breaks the rule.
pub(crate) fn broken(packages: &[Package]) -> Vec<String> {
    packages
        .iter()
        .filter_map(|package| Some(format!("{}; {}", refused(package)?, users(package, packages))))
        .collect()
}

fn refused(package: &Package) -> Option<String> {
    let title = format!("`{} {}`", package.name, package.version);
    let Some(expression) = &package.licence else {
        return Some(format!("{title} names no licence in its manifest"));
    };
    let allowed =
        |name: &str| ALLOWED.contains(&name) || (name == "MPL-2.0" && MPL.contains(&package.name.as_str()));
    match satisfied(expression, &allowed) {
        Ok(true) => None,
        Ok(false) => {
            Some(format!("{title} has the licence {expression}, which docs/dependencies.md does not allow"))
        }
        Err(reason) => Some(format!("{title} has the licence {expression}, which cannot be read: {reason}")),
    }
}

fn users(package: &Package, packages: &[Package]) -> String {
    let users: Vec<&str> = packages
        .iter()
        .filter(|user| user.dependencies.iter().any(|dependency| dependency.name == package.name))
        .map(|user| user.name.as_str())
        .collect();
    if users.is_empty() {
        "nothing depends on it".to_owned()
    } else {
        format!("it is used by {}", users.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Dependency, packages, root, write_workspace};
    use hikyaku_testkit::scratch_dir;

    #[test]
    fn all_licences_are_allowed() {
        let packages = packages(&root());
        assert!(packages.len() > 10, "only {} packages were read", packages.len());
        crate::must_be_empty(&broken(&packages));
    }

    fn package(name: &str, licence: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            licence: licence.map(str::to_owned),
            ..Package::default()
        }
    }

    #[test]
    fn a_licence_that_breaks_the_rule_is_told_in_words() {
        let user = Package {
            dependencies: vec![Dependency { name: "sieve-rs".to_owned(), dev: false }],
            ..package("hikyaku-sieve", Some("MIT OR Apache-2.0"))
        };
        let all = [
            user,
            package("sieve-rs", Some("AGPL-3.0-only OR LicenseRef-SEL")),
            package("r-efi", Some("MIT OR Apache-2.0 OR LGPL-2.1-or-later")),
            package("cssparser", Some("MPL-2.0")),
            package("colored", Some("MPL-2.0")),
            package("old", Some("MIT/")),
            package("ring", None),
        ];
        assert_eq!(
            broken(&all),
            [
                "`sieve-rs 1.2.3` has the licence AGPL-3.0-only OR LicenseRef-SEL, which docs/dependencies.md does not allow; it is used by hikyaku-sieve",
                "`colored 1.2.3` has the licence MPL-2.0, which docs/dependencies.md does not allow; nothing depends on it",
                "`old 1.2.3` has the licence MIT/, which cannot be read: it ends too early; nothing depends on it",
                "`ring 1.2.3` names no licence in its manifest; nothing depends on it",
            ]
        );
    }

    #[test]
    fn the_rule_works_on_a_workspace_on_disk() {
        let scratch = scratch_dir();
        let crates = [
            (
                "crates/mime",
                "[package]\nname = \"hikyaku-mime\"\nversion = \"0.1.0\"\nlicense = \"MIT\"\n\
                 [dependencies]\ncopied.path = \"../../outside/copied\"\n",
            ),
            (
                "outside/copied",
                "[package]\nname = \"copied\"\nversion = \"4.5.6\"\nlicense = \"GPL-3.0-or-later\"\n",
            ),
        ];
        write_workspace(scratch.path(), &crates);
        assert_eq!(
            broken(&packages(scratch.path())),
            [
                "`copied 4.5.6` has the licence GPL-3.0-or-later, which docs/dependencies.md does not allow; it is used by hikyaku-mime"
            ]
        );
    }
}

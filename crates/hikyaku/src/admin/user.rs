//! Who gives commands, as it stands in the audit log.

/// `operator (unix user ann)`; a number if the machine's list of users does not name it.
pub(super) fn operator(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match name(&users, uid) {
        Some(name) => format!("operator (unix user {name})"),
        None => format!("operator (unix user {uid})"),
    }
}

/// From lines of passwd(5): name, password, number and more, with colons.
fn name(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_their_numbers() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nmail:x:8:8::/var/mail:/bin/false\n";
        for (uid, expected) in [(0, Some("root")), (8, Some("mail")), (1, None)] {
            assert_eq!(name(users, uid), expected);
        }
    }
}

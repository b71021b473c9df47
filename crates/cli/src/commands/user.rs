//! `datacube user`: who may use a PostgreSQL index, and in which role.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Result, bail};
use datacube::Datacube;
use uuid::Uuid;

use super::exit_code;
use crate::args::{Role, UserCommand};
use crate::output::{self, Consent, Row, Rows, confirm};

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Manage => "manage",
            Role::Admin => "admin",
        }
    }
}

pub(crate) fn run(dc: &Datacube, command: &UserCommand) -> Result<ExitCode> {
    match command {
        UserCommand::List { format } => {
            let mut rows = Rows::new(*format, ["role", "user", "description"]);
            for user in dc.users()? {
                let mut row = Row::new();
                row.insert("role".into(), user.role.into());
                row.insert("user".into(), user.name.into());
                row.insert("description".into(), user.description.into());
                rows.push(&row)?;
            }
            rows.finish()?;
            Ok(ExitCode::SUCCESS)
        }
        UserCommand::Grant {
            role,
            users,
            dry_run,
        } => {
            if dry_run.dry_run {
                return list_known(dc, users, &format!("Would grant {} to", role.name()));
            }
            dc.grant(role.name(), users)?;
            for user in users {
                output::line(format!("Granted {} to {user}", role.name()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        UserCommand::Create {
            role,
            user,
            description,
            passwd_stdin,
            dry_run,
        } => {
            if dry_run.dry_run {
                if dc.users()?.iter().any(|known| known.name == *user) {
                    bail!("there is a user {user} already");
                }
                output::line(format!("Would create user {user} as {}", role.name()))?;
                return Ok(ExitCode::SUCCESS);
            }
            create(dc, *role, user, description.as_deref(), *passwd_stdin)
        }
        UserCommand::Delete {
            users,
            dry_run,
            yes,
        } => {
            if dry_run.dry_run {
                return list_known(dc, users, "Would delete");
            }
            let warning = format!("Users will be deleted: {}", users.join(", "));
            if !confirm(&warning, Consent::of(yes.yes, false))? {
                return Ok(exit_code(1));
            }
            dc.delete_users(users)?;
            for user in users {
                output::line(format!("Deleted {user}"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Says what would be done to each user, and which are not there.
fn list_known(dc: &Datacube, users: &[String], what: &str) -> Result<ExitCode> {
    let known = dc.users()?;
    let mut n_unknown = 0;
    for user in users {
        if known.iter().any(|known| known.name == *user) {
            output::line(format!("{what} {user}"))?;
        } else {
            n_unknown += 1;
            output::note(format!("No such user: {user}"));
        }
    }
    Ok(exit_code(n_unknown))
}

fn create(
    dc: &Datacube,
    role: Role,
    user: &str,
    description: Option<&str>,
    is_from_stdin: bool,
) -> Result<ExitCode> {
    let password = if is_from_stdin {
        read_password()?
    } else {
        new_password()
    };
    dc.create_user(role.name(), user, &password, description)?;
    let url = url::Url::parse(dc.index().url()).ok();
    let host = url.as_ref().and_then(url::Url::host_str);
    let port = url.as_ref().and_then(url::Url::port).unwrap_or(5432);
    output::line(format!(
        "{}:{port}:*:{user}:{}",
        host.filter(|host| !host.is_empty()).unwrap_or("localhost"),
        if is_from_stdin {
            "password taken from stdin"
        } else {
            &password
        }
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A password from standard input; at a terminal asked for twice, unseen.
fn read_password() -> Result<String> {
    let password = if std::io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        let ask = |question: &str| -> Result<String> {
            terminal.write_str(question)?;
            Ok(terminal.read_secure_line()?)
        };
        let password = ask("Password: ")?;
        if ask("Confirm password: ")? != password {
            bail!("the passwords do not match");
        }
        password
    } else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text.trim_end().to_owned()
    };
    if password.is_empty() {
        bail!("the password is empty");
    }
    Ok(password)
}

/// Letters and digits that need no quotes anywhere, 16 of them.
fn new_password() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    // The random bits of two UUIDs, one byte a letter.
    let bits = [Uuid::new_v4(), Uuid::new_v4()];
    let bytes = bits.iter().flat_map(|id| {
        // Bytes 6 and 8 hold the version and are not random.
        id.as_bytes()
            .iter()
            .enumerate()
            .filter(|(at, _)| !matches!(at, 6 | 8))
            .map(|(_, byte)| *byte)
            .collect::<Vec<u8>>()
    });
    bytes
        .map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]))
        .take(16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_and_need_no_quotes() {
        let (one, other) = (new_password(), new_password());
        assert_ne!(one, other);
        assert_eq!(one.len(), 16);
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric()), "{one}");
    }
}

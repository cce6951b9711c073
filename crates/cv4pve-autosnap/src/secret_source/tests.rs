// SPDX-License-Identifier: GPL-3.0-only
//! Every source of a secret alone, the priority between two, and the errors of each.

use std::fs;

use super::*;

const TOKEN: &str = "root@pam!snap=11111111-2222-3333-4444-555555555555";

fn kind_and_value(secret: &Secret) -> (&'static str, &str) {
    match secret {
        Secret::ApiToken(token) => ("token", token.expose_secret()),
        Secret::Password(password) => ("password", password.expose_secret()),
    }
}

#[track_caller]
fn check(request: Request<'_>, environment: &Environment, expected: (&str, &str)) -> Vec<String> {
    let resolved = resolve(&request, environment).unwrap();
    assert_eq!(kind_and_value(&resolved.secret), expected);
    let printed = format!("{resolved:?}");
    assert!(!printed.contains(expected.1), "{printed}");
    let notices = resolved.notices.into_iter();
    notices.map(|notice| notice.message).collect()
}

#[track_caller]
fn check_error(request: Request<'_>, environment: &Environment, expected: &str) {
    assert_eq!(
        resolve(&request, environment).unwrap_err().to_string(),
        expected
    );
}

fn user() -> Request<'static> {
    Request {
        username: Some("root@pam"),
        ..Request::default()
    }
}

fn with_prompt() -> Environment {
    Environment {
        prompt: Some(|_| Ok("answer".into())),
        ..Environment::default()
    }
}

#[test]
fn sources_are_read_in_order_and_the_token_wins_in_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment {
        api_token: Some("variable token".into()),
        password: Some("variable password".into()),
        credentials_directory: Some(folder.path().to_owned()),
        ..with_prompt()
    };
    fs::write(folder.path().join("api-token"), "credential token\n").unwrap();
    fs::write(folder.path().join("password"), "credential password\n").unwrap();
    let both = Request {
        api_token: Some(TOKEN),
        password: Some("option"),
        ..user()
    };
    let notices = check(both, &environment, ("token", TOKEN));
    assert_eq!(
        notices,
        ["--username and --password are not used, because --api-token is given as well"]
    );
    check(
        Request {
            api_token: None,
            ..both
        },
        &environment,
        ("password", "option"),
    );
    check(user(), &environment, ("token", "variable token"));
    environment.api_token = None;
    check(user(), &environment, ("password", "variable password"));
    check(
        Request::default(),
        &environment,
        ("token", "credential token"),
    );
    environment.password = Some("".into());
    check(user(), &environment, ("token", "credential token"));
    fs::remove_file(folder.path().join("api-token")).unwrap();
    check(user(), &environment, ("password", "credential password"));
    fs::remove_file(folder.path().join("password")).unwrap();
    assert_eq!(check(user(), &environment, ("password", "answer")), [""; 0]);
}

#[test]
fn without_any_source_the_error_names_the_options() {
    let nothing =
        "no login given; use --api-token=file:PATH, or --username with --password=file:PATH";
    check_error(Request::default(), &Environment::default(), nothing);
    check_error(Request::default(), &with_prompt(), nothing);
    check_error(
        user(),
        &Environment::default(),
        "no password given for root@pam, and no terminal to ask at; \
         use --password=file:PATH, CV4PVE_PASSWORD or an API token",
    );
}

#[test]
fn a_secret_on_the_command_line_is_a_warning_but_not_one_from_a_parameter_file() {
    let seen = [
        OsString::from(format!("--api-token={TOKEN}")),
        "--password=Pa$$w0rd".into(),
    ];
    let request = Request {
        api_token: Some(TOKEN),
        arguments: &seen,
        ..Request::default()
    };
    assert_eq!(
        check(request, &Environment::default(), ("token", TOKEN)),
        [
            "the API token on the command line can be seen by every user of this machine; use --api-token=file:PATH instead"
        ]
    );
    let request = Request {
        password: Some("Pa$$w0rd "),
        arguments: &seen,
        ..user()
    };
    assert_eq!(
        check(request, &Environment::default(), ("password", "Pa$$w0rd")),
        [
            "the password on the command line can be seen by every user of this machine; use --password=file:PATH instead"
        ]
    );
    let request = Request {
        arguments: &[OsString::from("@job.conf")],
        ..request
    };
    assert_eq!(
        check(request, &Environment::default(), ("password", "Pa$$w0rd")),
        [""; 0]
    );
}

#[cfg(unix)]
#[test]
fn files_are_read_and_their_mode_is_checked() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let option = format!("file:{}", path.display());
    for (mode, expected) in [
        (0o600, Vec::new()),
        (
            0o644,
            vec![format!(
                "secret file {0} can be read by other users; run: chmod 600 '{0}'",
                path.display()
            )],
        ),
    ] {
        fs::write(&path, format!("{TOKEN}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let arguments = [OsString::from(format!("--api-token={option}"))];
        let request = Request {
            api_token: Some(&option),
            arguments: &arguments,
            ..Request::default()
        };
        assert_eq!(
            check(request, &Environment::default(), ("token", TOKEN)),
            expected
        );
        let request = Request {
            password: Some(&option),
            ..user()
        };
        assert_eq!(
            check(request, &Environment::default(), ("password", TOKEN)),
            expected
        );
    }
}

#[test]
fn a_missing_password_file_is_written_after_a_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let option = format!("file:{}", path.display());
    let request = Request {
        password: Some(&option),
        ..user()
    };
    let missing = format!(
        "password file {} does not exist, and there is no terminal to ask at; \
         run the command once by hand, or write the password into the file",
        path.display()
    );
    check_error(request, &Environment::default(), &missing);
    let resolved = resolve(&request, &with_prompt()).unwrap();
    assert_eq!(kind_and_value(&resolved.secret), ("password", "answer"));
    assert_eq!(resolved.to_store.as_deref(), Some(path.as_path()));
    assert!(!path.exists(), "the password is stored only after a login");
    crate::password_file::write(&path, &"answer".into()).unwrap();
    // The next run does not prompt.
    assert_eq!(
        check(request, &Environment::default(), ("password", "answer")),
        [""; 0]
    );
}

#[test]
fn the_prompt_names_the_user() {
    let prompt: Prompt = |question| Ok(question.into());
    let environment = Environment {
        prompt: Some(prompt),
        ..Environment::default()
    };
    check(user(), &environment, ("password", "(root@pam) Password: "));
}

#[test]
fn a_missing_token_file_is_an_error_even_at_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let option = format!("file:{}", path.display());
    let request = Request {
        api_token: Some(&option),
        ..user()
    };
    check_error(
        request,
        &with_prompt(),
        &format!("secret file {} does not exist", path.display()),
    );
    assert!(!path.exists());
}

#[test]
fn errors_name_empty_and_invalid_values() {
    let nothing = Environment::default();
    check_error(
        Request {
            api_token: Some(" "),
            ..user()
        },
        &nothing,
        "the API token is empty",
    );
    check_error(
        Request {
            password: Some(""),
            ..user()
        },
        &nothing,
        "the password is empty",
    );
    check_error(
        Request {
            api_token: Some("file:"),
            ..user()
        },
        &nothing,
        "missing path after '--api-token=file:'",
    );
    check_error(
        Request {
            password: Some("file:"),
            ..user()
        },
        &nothing,
        "missing path after '--password=file:'",
    );
    let silent = Environment {
        prompt: Some(|_| Ok("".into())),
        ..Environment::default()
    };
    check_error(user(), &silent, "the password is empty");
    let gone = Environment {
        prompt: Some(|_| Err(io::ErrorKind::UnexpectedEof.into())),
        ..Environment::default()
    };
    check_error(
        user(),
        &gone,
        "cannot ask for the password: unexpected end of file",
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("api-token"), "").unwrap();
    let environment = Environment {
        credentials_directory: Some(folder.path().to_owned()),
        ..Environment::default()
    };
    let path = folder.path().join("api-token");
    let expected = format!(
        "secret file {} is empty; write the secret into it, or remove it",
        path.display()
    );
    check_error(user(), &environment, &expected);
}

#[cfg(unix)]
#[test]
fn an_error_names_a_variable_that_is_not_utf8_without_its_value() {
    use std::os::unix::ffi::OsStringExt;

    let environment = Environment {
        api_token: Some(OsString::from_vec(b"a\xff".to_vec())),
        ..Environment::default()
    };
    check_error(
        user(),
        &environment,
        "variable CV4PVE_API_TOKEN is not UTF-8",
    );
}

#[cfg(unix)]
#[test]
fn the_mode_of_a_credential_from_systemd_is_not_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-token");
    fs::write(&path, TOKEN).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    let option = format!("file:{}", path.display());
    let request = Request {
        api_token: Some(&option),
        ..Request::default()
    };
    let environment = Environment {
        credentials_directory: Some(folder.path().to_owned()),
        ..Environment::default()
    };
    assert_eq!(
        resolve(&request, &environment).unwrap().notices,
        Vec::<Notice>::new()
    );
    let elsewhere = Environment::default();
    assert_eq!(resolve(&request, &elsewhere).unwrap().notices.len(), 1);
}

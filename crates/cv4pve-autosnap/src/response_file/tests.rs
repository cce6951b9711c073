// SPDX-License-Identifier: GPL-3.0-only
//! Parameter files in temporary folders, and the arguments they expand to.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn check_split(text: &str, expected: &[&str]) {
    let words = split(text).unwrap().into_iter().map(|(_, word)| word);
    assert_eq!(words.collect::<Vec<_>>(), expected, "{text:?}");
}

#[test]
fn white_space_separates_arguments() {
    check_split("", &[]);
    check_split("  \n\t\r\n", &[]);
    check_split("--host=pve1", &["--host=pve1"]);
    check_split(
        "--host=pve1 --vmid 100\r\n--debug\n",
        &["--host=pve1", "--vmid", "100", "--debug"],
    );
    check_split("a\rb", &["a", "b"]);
}

#[test]
fn a_comment_is_a_whole_line() {
    check_split(
        "# --host=a\n  # b\n--label=c#d\n--label #e",
        &["--label=c#d", "--label", "#e"],
    );
    check_split(
        "# an \"open quote does not matter here\n--debug",
        &["--debug"],
    );
}

#[test]
fn quotes_keep_white_space_as_in_dotnet() {
    check_split(
        "--script=\"/opt/my hooks/a.sh\" b",
        &["--script=/opt/my hooks/a.sh", "b"],
    );
    check_split("--label \"a b\" c", &["--label", "a b", "c"]);
    check_split("\"a b\"c", &["a b", "c"]);
    check_split("a\"b\"c", &["abc"]);
    check_split("a\" b \"\" c\" d", &["a b  c", "d"]);
    check_split("\"\" a", &["", "a"]);
    check_split("--label\n\"\"\n", &["--label", ""]);
    check_split("--label=\"\"", &["--label="]);
    check_split("C:\\pve\\\"a b\"", &["C:\\pve\\a b"]);
    check_split("'a b'", &["'a", "b'"]);
}

#[test]
fn a_missing_quote_is_reported_with_its_line() {
    for text in ["a\n--label=\"b", "\n\"", "a\r\na \"b c"] {
        assert!(
            matches!(split(text), Err(Problem::OpenQuote { line: 2 })),
            "{text:?}"
        );
    }
}

#[test]
fn encodings_with_a_byte_order_mark_are_decoded() {
    let check = |bytes: &[u8], expected: Option<&str>| {
        assert_eq!(decode(bytes).ok().as_deref(), expected, "{bytes:?}");
    };
    check(b"\xef\xbb\xbf--debug", Some("--debug"));
    check(b"\xff\xfea\0\xe4\0", Some("aä"));
    check(b"\xfe\xff\0a\0\xe4", Some("aä"));
    check(b"\xff\xfea", None);
    check(b"a\0b\0", None);
    check(b"\xe4", None);
    check(
        b"# caf\xe9\r\n  # \xe9\n--debug",
        Some("# caf\u{fffd}\r\n  # \u{fffd}\n--debug"),
    );
}

#[test]
fn invalid_utf8_is_reported_with_its_line() {
    for (bytes, number) in [
        (b"--label=\xe9".as_slice(), 1),
        (b"# \xe9\r\n\r\n--label=\xe9", 3),
        (b"a\rb\r\nc \xff", 3),
    ] {
        let found = decode(bytes);
        assert!(
            matches!(found, Err(Problem::NotUtf8 { line }) if line == number),
            "{found:?}"
        );
    }
}

/// Files in a folder. `DIR` in a text or an expectation stands for the folder, whose path has no quotes.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(folder.0.path().join(name), folder.fill(text)).unwrap();
        }
        folder
    }

    fn fill(&self, text: &str) -> String {
        text.replace("DIR", self.0.path().to_str().unwrap())
    }

    fn expand(&self, arguments: &[&str]) -> Result<Vec<OsString>, ResponseFileError> {
        let line = expand(arguments.iter().map(|argument| self.fill(argument).into()))?;
        Ok(line.words.into_iter().map(|word| word.text).collect())
    }

    fn check(&self, arguments: &[&str], expected: &[&str]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|argument| OsString::from(self.fill(argument)))
            .collect();
        assert_eq!(self.expand(arguments).unwrap(), expected, "{arguments:?}");
    }

    fn check_error(&self, arguments: &[&str], expected: &str) {
        assert_eq!(
            self.expand(arguments).unwrap_err().to_string(),
            self.fill(expected),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_file_is_replaced_by_its_arguments_at_any_position() {
    let files = Files::new(&[
        ("a", "\u{feff}--host=pve1\r\n@DIR/b --debug\r\n"),
        ("b", "--vmid @all"),
        ("none", "# only\n"),
    ]);
    files.check(
        &["@DIR/a", "snap", "--keep=3"],
        &[
            "--host=pve1",
            "--vmid",
            "@all",
            "--debug",
            "snap",
            "--keep=3",
        ],
    );
    files.check(
        &["x", "@DIR/b", "@DIR/b", "@DIR/none"],
        &["x", "--vmid", "@all", "--vmid", "@all"],
    );
    files.check(&["--", "@DIR/a"], &["--", "@DIR/a"]);
    files.check(
        &["@", "a@b", "--vmid=@DIR/b"],
        &["@", "a@b", "--vmid=@DIR/b"],
    );
}

#[test]
fn a_selection_after_vmid_is_not_a_file() {
    let files = Files::new(&[
        ("guests", "100,101"),
        ("all", "--vmid\n@ALL\n\"@pool-a b\""),
    ]);
    for value in [
        "@all",
        "@All",
        "@all,-100",
        "@pool-web",
        "@tag-Daily,100",
        "@node-pve1",
        "@all-pve1",
        "@all , 3",
    ] {
        files.check(&["--vmid", value, "snap"], &["--vmid", value, "snap"]);
    }
    files.check(&["--vmid", "@DIR/guests"], &["--vmid", "100,101"]);
    files.check_error(
        &["@DIR/all"],
        "parameter file pool-a b (named in line 3 of DIR/all) does not exist",
    );
    files.check_error(&["--label", "@all"], "parameter file all does not exist");
    files.check_error(
        &["--vmid", "@allguests"],
        "parameter file allguests does not exist",
    );
}

#[test]
fn errors_name_the_file_and_those_that_include_it() {
    let files = Files::new(&[
        ("a", "@DIR/b"),
        ("b", "x\n@DIR/c"),
        ("c", "\"secret"),
        ("bad", "a\0"),
    ]);
    files.check_error(&["@DIR/none"], "parameter file DIR/none does not exist");
    files.check_error(
        &["@DIR/a"],
        "parameter file DIR/c (named in line 2 of DIR/b, named in line 1 of DIR/a) has no closing quote in line 1",
    );
    files.check_error(
        &["@DIR/bad"],
        "parameter file DIR/bad is not a text file; save it as UTF-8",
    );
    let error = files.expand(&["@DIR"]).unwrap_err();
    assert!(matches!(error.problem, Problem::NotAFile(_)), "{error}");
}

#[test]
fn files_that_include_each_other_are_an_error() {
    let files = Files::new(&[("a", "@DIR/a"), ("b", "@DIR/c"), ("c", "--debug @DIR/./b")]);
    files.check_error(
        &["@DIR/a"],
        "parameter file DIR/a (named in line 1 of DIR/a) includes itself",
    );
    // The file is included under another name.
    files.check_error(
        &["@DIR/b"],
        "parameter file DIR/./b (named in line 1 of DIR/c, named in line 1 of DIR/b) includes itself",
    );
}

#[test]
fn depth_arguments_and_size_are_limited() {
    let names: Vec<_> = (0..20)
        .map(|level| (level.to_string(), format!("@DIR/{0} @DIR/{0}", level + 1)))
        .collect();
    let mut listed: Vec<_> = names
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    listed.push(("20", ""));
    let many = "x ".repeat(6000);
    let large = "x".repeat(1024 * 1024 + 1);
    listed.extend([("many", many.as_str()), ("large", large.as_str())]);
    let files = Files::new(&listed);
    assert!(matches!(
        files.expand(&["@DIR/0"]).unwrap_err().problem,
        Problem::TooDeep
    ));
    files.check_error(
        &["@DIR/many", "@DIR/many"],
        "parameter file DIR/many leads to too many arguments",
    );
    files.check_error(
        &["@DIR/large"],
        "parameter file DIR/large is too large to be a parameter file",
    );
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_unicode_are_kept() {
    use std::os::unix::ffi::OsStringExt;

    let odd = OsString::from_vec(b"@\xff".to_vec());
    let line = expand([odd.clone()].into_iter()).unwrap();
    assert!(line.words.iter().map(|word| &word.text).eq([&odd]));
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _any = decode(&bytes).and_then(|text| split(&text));
    }

    #[test]
    fn splitting_returns_each_quoted_or_plain_word(words in prop::collection::vec("[a-z#@=]{1,5}( [a-z]{0,3})?", 0..6)) {
        let line: Vec<_> = words.iter().map(|word| format!("-{}", if word.contains(' ') { format!("\"{word}\"") } else { word.clone() })).collect();
        let expected: Vec<_> = words.iter().map(|word| format!("-{word}")).collect();
        let words = split(&line.join(" ")).unwrap().into_iter().map(|(_, word)| word);
        prop_assert_eq!(words.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn splitting_loses_only_white_space_and_quotes(text in "[ab\" \t\u{e4}]{0,40}") {
        if let Ok(arguments) = split(&text) {
            let words: Vec<String> = arguments.into_iter().map(|(_, word)| word).collect();
            let kept: String = words.concat().chars().filter(|character| !character.is_whitespace()).collect();
            let expected: String = text.chars().filter(|character| !character.is_whitespace() && *character != '"').collect();
            prop_assert_eq!(kept, expected);
        } else {
            prop_assert!(text.contains('"'));
        }
    }
}

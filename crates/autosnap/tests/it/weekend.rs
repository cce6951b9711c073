
/// "Done when", with the lines of our README.
#[test]
fn a_weekend_with_the_crontab_of_the_readme() {
    let lab = lab();
    lab.file(
        "daily.conf",
        format!(
            "--host={}\n--api-token=file:token\n--vmid=@all\n--label=daily\n--keep=7\n",
            lab.host()
        ),
    );
    let found = weekend(
        &lab,
        &[
            Line {
                is_due: EVERY_HOUR,
                words: "cv4pve-autosnap @daily.conf snap --label=hourly --keep=24 --quiet",
            },
            Line {
                is_due: AT_MIDNIGHT,
                words: "cv4pve-autosnap @daily.conf snap --label=daily --keep=7 --quiet",
            },
            Line {
                is_due: SUNDAY_AT_MIDNIGHT,
                words: "cv4pve-autosnap @daily.conf snap --label=weekly --keep=4 --quiet",
            },
        ],
    );
    assert_eq!(
        found,
        Found {
            mails: Vec::new(),
            errors: TROUBLE.to_vec(),
            failures: TROUBLE.to_vec(),
        }
    );
    assert_eq!(kept(&lab), every_guest_has([24, 3, 1]));
}

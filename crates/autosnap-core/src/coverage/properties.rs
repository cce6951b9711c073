// SPDX-License-Identifier: GPL-3.0-only
//! Properties of coverage.

use proptest::prelude::*;

use super::tests::{guest, job, listed, vmid};
use super::*;
use crate::name::Label;

const LABELS: [&str; 3] = ["gold", "silver", "iron"];

fn jobs() -> impl Strategy<Value = Vec<CoveringJob>> {
    let selected = prop::collection::btree_set(100..110u32, 0..8);
    let adopted = prop::option::weighted(0.2, 0..LABELS.len());
    let one = (
        0..LABELS.len(),
        adopted,
        prop::bool::weighted(0.8),
        selected,
    );
    let one = one.prop_map(|(label, adopted, takes, selected)| {
        let selected: Vec<u32> = selected.into_iter().collect();
        let mut job = job(LABELS[label], &selected);
        job.takes = takes;
        if let Some(adopted) = adopted {
            let adopted = Label::parse(LABELS[adopted]).unwrap();
            job.series = job.series.with_adopted_labels([adopted]);
        }
        job
    });
    prop::collection::vec(one, 0..5)
}

fn guests() -> impl Strategy<Value = Vec<Guest>> {
    let tags = prop::sample::subsequence(
        vec![
            "autosnap-gold",
            "autosnap-glod",
            "Autosnap-Iron",
            OFF_TAG,
            "web",
        ],
        0..3,
    );
    let properties = (tags, prop::bool::weighted(0.1));
    let guests = prop::collection::btree_map(100..112u32, properties, 0..12);
    guests.prop_map(|guests| {
        let guests = guests.into_iter().map(|(number, (tags, template))| Guest {
            template,
            ..guest(number, &tags)
        });
        guests.collect()
    })
}

fn readings() -> impl Strategy<Value = BTreeMap<Vmid, SnapshotReading>> {
    let names = prop::sample::subsequence(
        vec![
            "autogold261128000000",
            "autosilver261128000000",
            "autosilver261127000000",
            "autoiron261128000000",
            "autoother261128000000",
        ],
        0..5,
    );
    let reading = prop_oneof![
        4 => names.prop_map(|names| listed(&names)),
        1 => Just(SnapshotReading::Failed("offline".to_owned())),
    ];
    prop::collection::btree_map((100..112u32).prop_map(vmid), reading, 0..12)
}

/// The guests of each conflict.
fn named_conflicts(coverage: &Coverage) -> BTreeSet<BTreeSet<Vmid>> {
    let conflicts = coverage.conflicts.iter();
    conflicts.map(|conflict| conflict.guests.clone()).collect()
}

proptest! {
    #[test]
    fn every_guest_is_listed_once_in_order(
        guests in guests(), jobs in jobs(), readings in readings(),
    ) {
        let wanted: BTreeSet<Vmid> = guests.iter().map(|guest| guest.vmid).collect();
        let coverage = assess(guests, &jobs, &readings);
        let listed: BTreeSet<Vmid> = coverage.guests.iter().map(|one| one.guest.vmid).collect();
        prop_assert_eq!(&listed, &wanted);
        prop_assert_eq!(coverage.guests.len(), wanted.len());
        prop_assert!(coverage.guests.is_sorted_by_key(|one| (one.state, one.guest.vmid)));
    }

    #[test]
    fn a_guest_is_uncovered_only_if_no_job_takes_its_snapshots(
        guests in guests(), jobs in jobs(), readings in readings(),
    ) {
        for one in assess(guests, &jobs, &readings).guests {
            let vmid = one.guest.vmid;
            let is_taken = jobs.iter().any(|job| job.takes && job.selected.contains(&vmid));
            prop_assert_eq!(one.jobs.is_empty(), !is_taken);
            match one.state {
                CoverageState::Uncovered
                | CoverageState::LostPolicy
                | CoverageState::Off
                | CoverageState::Unknown => prop_assert!(!is_taken),
                CoverageState::Covered => prop_assert!(is_taken),
                CoverageState::Template
                | CoverageState::UnknownTag
                | CoverageState::Conflict => {}
            }
        }
    }

    /// Snapshots are read only where they are needed; reading all of them would give the same result.
    #[test]
    fn readings_that_are_not_needed_change_nothing(
        guests in guests(), jobs in jobs(), readings in readings(),
    ) {
        let all = assess(guests.clone(), &jobs, &readings);
        let unneeded: BTreeSet<Vmid> = guests
            .iter()
            .filter(|guest| !needs_snapshots(guest, &jobs))
            .map(|guest| guest.vmid)
            .collect();
        let mut needed = readings.clone();
        needed.retain(|vmid, _| !unneeded.contains(vmid));
        prop_assert_eq!(&assess(guests, &jobs, &needed), &all);
        for (vmid, reading) in &readings {
            if let SnapshotReading::Listed(snapshots) = reading
                && unneeded.contains(vmid)
                && all.guests.iter().any(|one| one.guest.vmid == *vmid && !one.guest.template)
            {
                prop_assert_eq!(left(*vmid, snapshots, &jobs), []);
            }
        }
    }

    #[test]
    fn the_order_of_the_jobs_does_not_matter(
        guests in guests(), (jobs, shuffled) in jobs().prop_flat_map(|jobs| {
            (Just(jobs.clone()), Just(jobs).prop_shuffle())
        }), readings in readings(),
    ) {
        let one = assess(guests.clone(), &jobs, &readings);
        let other = assess(guests, &shuffled, &readings);
        prop_assert_eq!(named_conflicts(&one), named_conflicts(&other));
        let states = |coverage: Coverage| {
            let guests = coverage.guests.into_iter();
            guests.map(|one| (one.guest.vmid, one.state)).collect::<Vec<_>>()
        };
        prop_assert_eq!(states(one), states(other));
    }

    #[test]
    fn a_tag_that_a_job_names_is_never_unknown(guests in guests(), jobs in jobs()) {
        for one in assess(guests, &jobs, &BTreeMap::new()).guests {
            for unknown in one.unknown_tags {
                let tag = unknown.tag.to_lowercase();
                prop_assert!(is_policy_tag(&tag) && tag != OFF_TAG);
                prop_assert!(!jobs.iter().any(|job| job.tags.contains(&tag)), "{tag}");
            }
        }
    }
}

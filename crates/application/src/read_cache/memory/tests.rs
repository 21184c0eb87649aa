use ig_test_support::builders::{START, account};

use super::*;

const CAPACITY: u64 = 1 << 20;

fn remember(memory: &Memory, number: u32) {
    let account = Arc::new(ReadAccount::from(account(number, "shop/7", START)));
    let key = AccountKey::Instagram(account.professional_account_id.clone().into());
    memory.keep(&memory.begin_reading(Instant::now()), &key, &account);
}

fn remembers(memory: &Memory, number: u32) -> bool {
    memory.find(&AccountKey::Id(account(number, "", START).id)).is_some()
}

/// And it is used: the estimate of what an account weighs is none that leaves most of it empty.
#[test]
fn it_takes_no_more_than_its_capacity() {
    let memory = Memory::new(CAPACITY);
    for number in 0..5000 {
        remember(&memory, number);
        let weight = memory.accounts.weight() + memory.index.weight();
        assert!(weight <= CAPACITY, "{weight}");
    }
    assert!(memory.accounts.weight() > CAPACITY * 3 / 4, "{}", memory.accounts.weight());
    assert!(memory.accounts.len() > 500, "{}", memory.accounts.len());
}

#[test]
fn one_that_has_no_room_is_not_kept() {
    let memory = Memory::new(100);
    remember(&memory, 1);
    assert!(!remembers(&memory, 1));
}

/// A reading of which that cannot be told is not kept.
#[test]
fn the_changes_that_are_remembered_are_bounded() {
    for changes in [MAX_CHANGES, MAX_CHANGES + 1] {
        let memory = Memory::new(CAPACITY);
        let account = Arc::new(ReadAccount::from(account(1, "shop/7", START)));
        let reading = memory.begin_reading(Instant::now());
        for number in 0..changes {
            let other = u32::try_from(number).unwrap() + 2;
            memory.forget(ig_test_support::builders::account(other, "", START).id);
        }
        memory.keep(&reading, &AccountKey::Id(account.id), &account);
        assert_eq!(remembers(&memory, 1), changes == MAX_CHANGES);
        assert!(memory.changes().accounts.len() <= MAX_CHANGES);
    }
}

#[test]
fn what_is_forgotten_leaves_the_memory() {
    let memory = Memory::new(CAPACITY);
    (1..=10).for_each(|number| remember(&memory, number));
    assert!((1..=10).all(|number| remembers(&memory, number)));
    memory.forget(account(1, "", START).id);
    assert_eq!(memory.accounts.len(), 9);
    memory.forget_all();
    assert_eq!((memory.accounts.len(), memory.index.len()), (0, 0));
}

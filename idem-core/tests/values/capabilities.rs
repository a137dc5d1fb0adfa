//! The capabilities of a store are built one by one.

use idem_core::Capabilities;

const ALL: Capabilities =
    Capabilities::none().with_durable().with_shared().with_bounded().with_strict_sequence().with_notifies();

#[test]
fn nothing_is_promised_by_default() {
    assert_eq!(Capabilities::none(), Capabilities::default());
}

#[test]
fn each_promise_sets_its_own_field_and_no_other() {
    type Field = fn(&mut Capabilities) -> &mut bool;
    let none = Capabilities::none();
    let promises: [(Capabilities, Capabilities, Field); 5] = [
        (none.with_durable(), ALL.with_durable(), |c| &mut c.durable),
        (none.with_shared(), ALL.with_shared(), |c| &mut c.shared),
        (none.with_bounded(), ALL.with_bounded(), |c| &mut c.bounded),
        (none.with_strict_sequence(), ALL.with_strict_sequence(), |c| &mut c.strict_sequence),
        (none.with_notifies(), ALL.with_notifies(), |c| &mut c.notifies),
    ];
    let mut assembled = Capabilities::default();
    for (alone, among_all, field) in promises {
        let mut expected = Capabilities::default();
        *field(&mut expected) = true;
        assert_eq!(alone, expected);
        assert_eq!(among_all, ALL);
        *field(&mut assembled) = true;
    }
    assert_eq!(ALL, assembled);
}

//! Templates that are broken, or want more than their share.

use inkling_chat::{Error, LONGEST_CONTEXT, LONGEST_TEMPLATE, render};
use std::time::{Duration, Instant};

const ASKED: &str = r#"{"messages":[{"role":"user","content":"Hello"}]}"#;

fn fault(template: &str) -> Error {
    let began = Instant::now();
    let found = render(template, ASKED, 0);
    let shown = &template[..template.len().min(80)];
    assert!(began.elapsed() < Duration::from_secs(8), "{shown}: {:?}", began.elapsed());
    found.map(|text| panic!("{shown}: expected an error, found {} bytes", text.len())).unwrap_err()
}

#[track_caller]
fn assert_code(template: &str, code: &str) {
    let error = fault(template);
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn work_without_end_ends() {
    let many = "{% for a in range(99999) %}";
    for template in [
        format!("{many}{many}{many}x{}", "{% endfor %}".repeat(3)),
        format!("{many}{many}{}", "{% endfor %}".repeat(2)),
        "{{ 'a' * 1000000000 }}".into(),
        "{{ ([1] * 10000) * 10000 }}".into(),
        format!("{{% set s = namespace(x='a') %}}{many}{{% set s.x = s.x ~ s.x %}}{{% endfor %}}"),
        format!("{{% set s = namespace(x=[]) %}}{many}{{% set s.x = s.x + [1] %}}{{% endfor %}}"),
        format!("{{% set s = 'a' * 1000000 %}}{many}{{% if s.isupper() %}}{{% endif %}}{{% endfor %}}"),
        format!(
            "{{% set s = range(99999) | list %}}{many}{{% if s.count(1) == s.index(5) %}}{{% endif %}}{{% endfor %}}"
        ),
        "{{ ('a' * 100000).replace('a', 'b' * 100000) }}".into(),
        "{{ '%1000000000d' | format(1) }}".into(),
        "{{ 'x' | indent(1000000000) }}{{ ('a\\n' * 1000) | indent(1000000000) }}".into(),
    ] {
        assert_code(&template, "template_limit");
    }
}

#[test]
fn comparing_what_doubles_ends() {
    let doubled = format!("{{% set y = [1] %}}{}", "{% with x = [y, y] %}{% with y = [x, x] %}".repeat(20));
    let other =
        doubled.replace("set y", "set b").replace("x = [y, y]", "a = [b, b]").replace("y = [x, x]", "b = [a, a]");
    let ends = "{% endwith %}".repeat(40);
    assert_code(&format!("{doubled}{{% set z = y %}}{ends}"), "bad_template");
    assert_code(&format!("{doubled}{{{{ y }}}}{ends}"), "template_limit");
    assert_code(&format!("{doubled}{{{{ y | tojson }}}}{ends}"), "template_limit");
    assert_code(&format!("{doubled}{other}{{{{ y == b }}}}{ends}{ends}"), "template_limit");
}

#[test]
fn depth_has_an_end() {
    for template in [
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}".to_string(),
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}".into(),
        "{% set s = namespace(x=1) %}{% set s.x = s %}{{ s }}".into(),
        "{% set s = namespace(x=1) %}{% set s.x = [s] %}{{ s.x }}".into(),
        "{% set s = namespace(x=1) %}{% for i in range(9999) %}{% set s.x = [s.x] %}{% endfor %}{{ s.x }}".into(),
        "{% set s = namespace(x=1) %}{% for i in range(9999) %}{% set s.x = {'a': s.x} %}{% endfor %}{{ s.x | tojson }}".into(),
        format!("{{% set x = [] %}}{}{{{{ x }}}}", "{% set x = [x] %}".repeat(3000)),
        format!("{}1{}", "{{ ((".repeat(300), ")) }}".repeat(300)),
        "{% if 1 %}".repeat(3000),
        format!("{{{{ {}1{} }}}}", "[".repeat(1500), "]".repeat(1500)),
    ] {
        assert_code(&template, "bad_template");
    }
    // Not nested in the text, but for whoever reads it from left to right.
    for (first, more) in
        [("1", "+1"), ("a", ".b"), ("'a'", "|upper"), ("1", " and 1"), ("1", " if 1 else 1"), ("a", "[0]")]
    {
        let (short, long) = (more.repeat(4_000 / more.len()), more.repeat(40_000 / more.len()));
        assert_code(&format!("{{{{ {first}{long} }}}}"), "template_limit");
        // Whether this is an error is Jinja's affair; that it comes back is ours.
        drop(render(&format!("{{{{ {first}{short} }}}}"), ASKED, 0));
    }
    for sign in ["-", "not ", "~", "+"] {
        drop(render(&format!("{{{{ {}1 }}}}", sign.repeat(4_000 / sign.len())), ASKED, 0));
    }
}

#[test]
fn what_is_not_there_is_named() {
    for (template, line, named) in [
        ("a\n{{ open('/etc/passwd') }}", 2, "open"),
        ("{{ ''.__class__.__mro__ }}", 1, "undefined"),
        ("{{ messages.append(1) }}", 1, "append"),
        ("{{ 'a' | shell }}", 1, "shell"),
        ("{{ 'a' is dangerous }}", 1, "dangerous"),
        ("{% include 'other.jinja' %}", 1, "include"),
        ("{% import 'other.jinja' as other %}", 1, "import"),
        ("{% extends 'other.jinja' %}", 1, "extends"),
        ("\n\n{{ nothing.at.all }}", 3, "nothing"),
        ("{% if %}", 1, "syntax"),
        ("{% for x in messages %}", 1, "syntax"),
        ("{{ messages", 1, "syntax"),
        ("{% endgeneration %}", 1, "syntax"),
        ("{% set _ = messages.x.y %}", 1, "undefined"),
        ("{{ namespace(__class__=1) }}", 1, "underscore"),
    ] {
        let error = fault(template);
        assert_eq!(error.code(), "bad_template", "{template}: {error}");
        assert!(matches!(&error, Error::Template { line: Some(found), .. } if *found == line), "{template}: {error:?}");
        assert!(error.to_string().contains(named), "{template}: {error}");
    }
}

#[test]
fn sizes_have_an_end() {
    assert_code(&"x".repeat(1 << 20), "template_limit");
    assert!(render(&"x".repeat(LONGEST_TEMPLATE), ASKED, 0).is_ok());
    let long = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(LONGEST_CONTEXT));
    assert_eq!(render("x", &long, 0).unwrap_err().code(), "template_limit");
    // What people paste goes through.
    let pasted = "word ".repeat(40_000);
    let context = format!(r#"{{"messages":[{{"role":"user","content":"{pasted}"}}]}}"#);
    assert_eq!(render("{{ messages[0].content }}", &context, 0).unwrap(), pasted);
}

#[test]
fn a_template_may_refuse_and_messages_may_be_wrong() {
    assert_eq!(
        fault("{{ raise_exception('no <b>system</b> here') }}"),
        Error::Raised { message: "no <b>system</b> here".into() }
    );
    for context in [
        "",
        "[]",
        "null",
        "{}",
        r#"{"messages":1}"#,
        r#"{"messages":[]}"#,
        r#"{"messages":["a"]}"#,
        r#"{"messages":[null]}"#,
        r#"{"messages":[{"role":"user","content":"a"}],"add_generation_prompt":true,"continue_final_message":true}"#,
        r#"{"messages":[{"role":"user"}],"continue_final_message":true}"#,
        r#"{"messages":[{"role":"user","content":"a"}],"continue_final_message":7}"#,
    ] {
        assert_eq!(render("{{ messages[0].content }}", context, 0).unwrap_err().code(), "bad_messages", "{context}");
    }
    let nested = format!("{}{}", r#"{"messages":"#.to_string() + &"[".repeat(100_000), "]".repeat(100_000) + "}");
    assert_eq!(render("x", &nested, 0).unwrap_err().code(), "bad_messages");
}

//! Mistakes of users of other tools: the underlined part, the message and the hint.

use super::wrong;

/// Probe, underlined part, a part of the message, a part of the hint.
const MISTAKES: &str = r#"
## action
router.rs:47 |router.rs:47| expected an action |`log router.rs:47`
router.rs:47 "{x}" |router.rs:47| expected an action |`log router.rs:47 "{x}"`
print router.rs:47 |print| not an action |`log router.rs:47`
print router.rs:47 x, y.z |print| not an action |`log router.rs:47 "{x} {y.z}"`
printf router.rs:47 "%d" x |printf| not an action |`log router.rs:47 "{x}"`
p x |p| not an action |`log FILE:LINE "{x}"`
p $1 |p| not an action |`log FILE:LINE "{x}"`
print status |print| not an action |`log FILE:LINE "{status}"`
break |break| not an action |`log FILE:LINE`
b f.c:7 if n > 3 |b| not an action |`log f.c:7 if n > 3`
info locals |info| not an action |`log FILE:LINE` shows the variables
bt |bt| not an action |`snapshot FILE:LINE`
c |c| not an action | never stops
uprobe:/bin/app:handle |uprobe:/bin/app:handle| not an action |`log handle`
uretprobe:app:handle |uretprobe:app:handle| not an action |`log handle%return`
usdt:/bin/app:p:handle |usdt:/bin/app:p:handle| not an action |`log usdt:p:handle`
usdt:p:handle |usdt:p:handle| not an action |`log usdt:p:handle`
handle |handle| not an action |`log handle`
Log f |Log| not an action | did you mean `log`?
lgo f |lgo| not an action | did you mean `log`?
# log f |#| not an action | `-f`
## location
log f.rs 47 |f.rs| the line number is missing |`f.rs:47`
log f.rs:47:13 |f.rs:47:13| no column |`f.rs:47`
log f.rs:47; |f.rs:47;| only a line number |`f.rs:47`
log f.rs#L47 |f.rs#L47| after `:` |`f.rs:47`
log f.rs:handle |f.rs:handle| missing after `:` |`handle`
log app::handle:57 |app::handle:57| not functions |`app::handle`
log app:f.rs:57 |app:f.rs:57| ends with `!` |`app!f.rs:57`
log f.rs:5-9 |f.rs:5-9| one line |`time f.rs:5..f.rs:9`
time f.rs:5..9 |f.rs:5..9| one line | write `time f.rs:5..f.rs:9`
log usdt:p |usdt:p| the name of the USDT probe is missing |`usdt:p:NAME`
log usdt:p: |usdt:p:| the name of the USDT probe is missing |`usdt:p:NAME`
log usdt: |usdt:| the provider of the USDT probe is missing |`usdt:PROVIDER:NAME`
log usdt:/bin/app:p:handle |usdt:/bin/app:p:handle| no path |`app!usdt:p:handle`
log 59 |59| the file of this line is missing |`FILE:59`
log :59 |:59| the file of this line is missing |`FILE:59`
log *0x1234 |*0x1234| no `*` |`0x1234`
count(handle) |(handle)| no parentheses |`handle`
log if x > 1 |if| the location is missing | follows the action
log "{x}" |{x}| the location is missing | follows the action
log handle%ret |handle%ret| `FUNCTION%return` |`handle%return`
log handle%entry |handle%entry| its name alone |`handle`
## special names
log f:1 "{$comm}" |$comm| no `$comm` |`$thread`
log f:1 "{$exe}" |$exe| no `$exe` |`$process`
log f:1 "{$unit}" |$unit| no `$unit` |`$cgroup`
log f:1 if $container == "x" |$container| not known in conditions |`attach --container NAME`
log f:1 if $process == "x" |$process| not known in conditions |`attach --name NAME`
log f:1 "{$process.len()}" |$process| only be shown and counted by |`{$process}`
hist f:1 $cgroup |$cgroup| not a number |`count … by $cgroup`
## per process
log f:1 hits 5 per |per| or `per process` |`hits 5 per process`
log f:1 hits 5 per thread |thread| or `per process` |`hits 5 per process`
count f:1 per process |per| no limit |`hits N`
log f:1 per process hits 3 per process |per| given twice |
## message
log f:1 if c > 1 "{x}" |"{x}"| the message goes before `if` |`… "{x}" if c > 1`
log f:1 hits 3 rate 2/s "{x}" |"{x}"| the message goes before `if` |`… "{x}" hits 3 rate 2/s`
log f "a" "b" |"b"| one message | one pair of quotes
log f:1 {request.path} |{request.path}| in quotes |`"{request.path}"`
log f:1 request.path |request.path| in quotes |`"{request.path}"`
log f:1 a.b, c hits 3 |a.b, c| in quotes |`"{a.b} {c}"`
log f:1 {a} {b} if c > 1 |{a} {b}| in quotes |`"{a} {b}"`
log f:1 x |x| unexpected `x` |`"{x}"`
log f 'x {y}' |'x {y}'| double quotes |`"x {y}"`
log f “{y}” |“| plain double quotes |`"{y}"`
log f f"{y}" |f| no prefix `f` |`"{y}"`
log f "x %d" y |y| in braces |`"… {y}"`
log f "x %d", y |,| in braces |`"… {y}"`
log f "{}" |{}| are empty |`{x}`
log f "{:?}" |{:| are empty |`{x:?}`
log f "{y=}" |=| hold only a value |`y = {y}`
log f "{y!r}" |!| after `:` |`{y:?}`
log f "{y, z}" |,| one value |`{y} {z}`
log f "{y:d}" |d| not a format | leave `:d` out
log f "{y:5d}" |5d| not a format |`:5`
log f "\{y}" |\{| no `\` before it |`{{`
## count and hist
count f:1 request.path |request.path| after `by` |`by request.path`
count f:1 status |status| after `by` |`by status`
count f:1 group by status |group by status| after `by` |`by status`
count f:1 by a, b |,| one value | two probes
count f by || to count by is missing |`by x`
log f by x |by| only `count` |`count LOCATION by VALUE`
hist f by x |by| right after the location |`hist LOCATION x`
hist f || right after the location | hist LOCATION EXPR
## condition
log f if || the condition is missing |`if x > 5`
log f where x > 1 |where| after `if` |`if x > 1`
log f unless x > 1 |unless| after `if` |`if !(x > 1)`
log f /x > 1/ |/| after `if` |`if x > 1`
time f > 5ms |>| after `if` |`if $elapsed > 5ms`
time f if $elapsed > 5 ms |ms| without a space |`5ms`
log f hits 3 if x |if| before the options | before the first option
log f if x if y > 1 |if| one condition |`… && y > 1`
log f if a > 1) |)| unmatched `)` |
log f if a and b |and| not an operator |`&&`
log f if a or b |or| not an operator |`||`
log f if not hits |not| not an operator |`!hits`
log f if x is None |is| not an operator |`== None`
log f if x is not None |is| not an operator |`!= None`
log f if "a" in x |in| not an operator |`x.contains("a")`
log f if x contains "a b" |contains| not an operator |`x.contains("a b")`
log f if x like "a%" |like| not an operator |`x.contains("a")`
log f if x === 1 |===| not an operator |`==`
log f if x <> 1 |<>| not an operator |`!=`
log f if x = 1 |=| would write |`==`
log f if x =~ "a" |=~| not an operator |`x.matches(/a/)`
log f if x.y =~ /^a$/ |=~| not an operator |`x.y.matches(/^a$/)`
log f if x !~ 'a' |!~| not an operator |`!x.matches(/a/)`
log f if x regex "a" |regex| not an operator |`x.matches(/a/)`
log f if x.regex("a") |regex| not a function |`x.matches(/…/)`
log f if x.matches(y) |y| expected a regular expression | between two `/`
log f if matches(x, /a\/b |/| never closed |`\/`
log f if x.matches(/ä/g) && y |g| `g` is not a flag |`i`
log f if p == '/health' |'/health'| one character |`"/health"`
log f if x?.y > 1 |?| no `?` |`x.Some.0`
log f if let Some(y) = x |let| no patterns |`x == Some`
log f if matches!(x, Get) |matches| no macros |`x == Get`
log f if x == Some(1) |Some| not a function |`x.Some.0 == …`
log f if x == M::Other("a") |M::Other| not a function |`x.Other.0 == …`
log f if x.startswith("a") |startswith| not a function |`x.starts_with("…")`
log f if x.unwrap() > 1 |unwrap| not a function |`x.Some.0`
log f if x.as_str() == "a" |as_str| not a function | leave it out
log f if strcmp(x, "a") == 0 |strcmp| not a function |`==`
log f "{sizeof(x)}" |sizeof| the size or name |
log f "{$x}" |$x| there is no `$x` |`x`
log f "{$1}" |$1| there is no `$1` | the parameter's name
log f "{$retval}" |$retval| there is no `$retval` |`$return`
log f "{$rax}" |$rax| there is no `$rax` | registers
## options
log f --hits 3 |--hits| no dashes |`hits 3`
log f hits=3 |=| a space separates |`hits 3`
log f hits: 3 |:| a space separates |`hits 3`
log f hits 3, rate 5/s |,| spaces separate | a space
log f limit 3 |limit| unexpected `limit` |`hits N`
log f once |once| unexpected `once` |`hits 1`
log f bt |bt| unexpected `bt` |`depth 16`
log f hits 0 |0| from 1 |`hits 10`
log f for 5sec |5sec| not a duration |`5s`
log f for 5 s |5| not a duration |`5s`
log f for 5 |5| not a duration |`500ms`
log f rate 5/m |/| a number per second |`every 10s`
log f as |  | up to 64 letters |`as slow-requests`
log f as my probe |probe| unexpected `probe` | one word
"#;

#[test]
fn mistakes_of_other_tools_say_how_to_write_it() {
    let mut tried = 0;
    for row in MISTAKES
        .lines()
        .filter(|row| !row.starts_with("## ") && !row.is_empty())
    {
        // Only the last column may contain a bar.
        let mut columns = row.splitn(4, '|');
        let mut column = || columns.next().expect(row).trim().to_owned();
        let (text, place, message, hint) = (column(), column(), column(), column());
        let (told, at, hinted) = wrong(&text);
        assert!(told.contains(&message), "{text}: {told}");
        assert_eq!(at.trim(), place, "{text}");
        assert!(hinted.unwrap_or_default().contains(&hint), "{text}: {hint}");
        tried += 1;
    }
    assert!(tried > 90, "{tried}");
}

#[test]
fn names_that_only_look_like_mistakes_are_read() {
    for text in [
        "log main::{closure#0}",
        "log <Foo as Bar<u8>>::f",
        "log (anonymous namespace)::f",
        "log operator()",
        "log Foo::operator%",
        "log libfoo.so!foo.c:7",
        "log \"a b:c.rs\":7",
        "time db.rs:30..db.rs:52",
        "time a..b",
        "log f if and > 1",
        "log f if contains",
        "count f by is hits 3",
        "log f \"100% of %d, {x}\"",
        "log f \"$x ${y}\"",
        "hist f by.x",
    ] {
        super::probe(text);
    }
}

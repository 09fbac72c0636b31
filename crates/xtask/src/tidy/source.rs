//! One Rust file: its length, its doc, its functions, and in pure crates what it reaches for.

use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, ItemFn, ItemMod, Path, Signature, TraitItemFn, UseTree};

use super::{Breach, Rule};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
/// Crates without socket, clock and randomness. Tests within them may use what they like.
const PURE: [&str; 2] = ["crates/wire/src/", "crates/policy/src/"];
const IMPURE_ROOTS: [&str; 4] = ["tokio", "mio", "socket2", "rand"];
/// Where most threads have no timers of their own,
const TIMERLESS: &str = "crates/gateway/";
/// but for the module that hands out those of another,
const TIMERS: &str = "crates/gateway/timer.rs";
/// in the place of these.
const TIMER_MAKERS: [&str; 6] = ["sleep", "sleep_until", "timeout", "timeout_at", "interval", "interval_at"];

pub(super) fn check(file: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut breach = |line, rule, what| breaches.push(Breach { file: file.to_owned(), line, rule, what });
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        breach(1, Rule::FileLength, format!("{lines} lines; at most {FILE_LINES_MAX}"));
    }
    let syntax = match syn::parse_file(text) {
        Ok(syntax) => syntax,
        Err(error) => {
            breach(error.span().start().line, Rule::Syntax, format!("not Rust: {error}"));
            return breaches;
        }
    };
    if !syntax.attrs.iter().any(|attribute| attribute.path().is_ident("doc")) {
        breach(1, Rule::ModuleDoc, "no module doc (//!)".to_owned());
    }
    let is_test = file.ends_with("/tests.rs") || file.contains("/tests/");
    let pure = PURE.iter().any(|prefix| file.starts_with(prefix)) && !is_test;
    let timerless = file.starts_with(TIMERLESS) && file != TIMERS;
    let mut look = Look { pure, timerless, within_test: 0, found: Vec::new() };
    look.visit_file(&syntax);
    for (line, rule, what) in look.found {
        breach(line, rule, what);
    }
    breaches
}

/// Walks through a file's items.
struct Look {
    pure: bool,
    timerless: bool,
    within_test: usize,
    found: Vec<(usize, Rule, String)>,
}

impl Look {
    fn measure(&mut self, signature: &Signature, body: &Block) {
        let begin = signature.fn_token.span.start().line;
        let lines = body.brace_token.span.close().end().line + 1 - begin;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("{} has {lines} lines; at most {FUNCTION_LINES_MAX}", signature.ident);
            self.found.push((begin, Rule::FunctionLength, what));
        }
    }

    fn within(&mut self, attributes: &[Attribute], walk: impl FnOnce(&mut Look)) {
        let test = usize::from(attributes.iter().any(is_for_tests));
        self.within_test += test;
        walk(self);
        self.within_test -= test;
    }

    /// A path as it was written, e.g. `["Instant", "now"]`.
    fn judge(&mut self, names: &[String], line: usize) {
        if self.within_test > 0 {
            return;
        }
        if self.timerless {
            self.judge_timers(names, line);
        }
        if self.pure {
            self.judge_purity(names, line);
        }
    }

    fn judge_timers(&mut self, names: &[String], line: usize) {
        let [root, time, of_time @ ..] = names else { return };
        let makes = of_time.first().is_none_or(|name| TIMER_MAKERS.contains(&name.as_str()));
        if root == "tokio" && time == "time" && makes {
            let what = format!("{} panics on a thread without timers; use timer", names.join("::"));
            self.found.push((line, Rule::Timer, what));
        }
    }

    fn judge_purity(&mut self, names: &[String], line: usize) {
        let root = names.first().map(String::as_str);
        let is_io = root.is_some_and(|root| IMPURE_ROOTS.contains(&root))
            || (root == Some("std") && names.get(1).is_some_and(|name| name == "net"))
                && names.get(2).is_none_or(|name| name.starts_with("Tcp") || name.starts_with("Udp"));
        let last_two = names.iter().rev().map(String::as_str).take(2).collect::<Vec<_>>();
        let is_clock = matches!(last_two.as_slice(), ["now", "Instant" | "SystemTime"]);
        if is_io || is_clock {
            let what = format!("{} in a crate that has no socket, clock or chance", names.join("::"));
            self.found.push((line, Rule::Pure, what));
        }
    }

    fn judge_use(&mut self, tree: &UseTree, above: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                above.push(path.ident.to_string());
                self.judge_use(&path.tree, above);
                above.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.judge_use(tree, above)),
            UseTree::Name(name) => self.judge_with(above, &name.ident),
            UseTree::Rename(rename) => self.judge_with(above, &rename.ident),
            UseTree::Glob(glob) => self.judge(&above.clone(), glob.star_token.span.start().line),
        }
    }

    fn judge_with(&mut self, above: &[String], last: &syn::Ident) {
        let names: Vec<String> = above.iter().cloned().chain([last.to_string()]).collect();
        self.judge(&names, last.span().start().line);
    }
}

impl<'ast> Visit<'ast> for Look {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.within(&item.attrs, |look| visit::visit_item_mod(look, item));
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.measure(&item.sig, &item.block);
        self.within(&item.attrs, |look| visit::visit_item_fn(look, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.sig, &item.block);
        self.within(&item.attrs, |look| visit::visit_impl_item_fn(look, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.measure(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.within(&item.attrs, |look| look.judge_use(&item.tree, &mut Vec::new()));
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let line = path.segments.last().map_or(1, |last| last.ident.span().start().line);
        self.judge(&names, line);
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let is_cfg_test = || {
        let condition = attribute.parse_args::<Path>();
        condition.is_ok_and(|condition| condition.is_ident("test"))
    };
    attribute.path().is_ident("test") || (attribute.path().is_ident("cfg") && is_cfg_test())
}

#[cfg(test)]
mod tests {
    use super::{Rule, check};

    #[test]
    fn a_clock_is_found_in_a_pure_crate_outside_of_tests() {
        let text = "//! Doc.\nuse std::time::Instant;\nfn f() -> Instant { Instant::now() }\n\
                    #[cfg(test)]\nmod tests { fn g() { std::time::Instant::now(); } }\n";
        let found = check("crates/wire/src/x.rs", text);
        assert_eq!(
            found.iter().map(|breach| (breach.rule, breach.line)).collect::<Vec<_>>(),
            [(Rule::Pure, 3)]
        );
        assert!(check("crates/gateway/x.rs", text).is_empty());
    }

    #[test]
    fn a_timer_of_ones_own_is_found_where_threads_have_none() {
        let text = "//! Doc.\nuse tokio::time::{Instant, sleep};\nuse tokio::time;\n\
                    async fn f() { tokio::time::timeout(g, tokio::time::Instant::now()); }\n";
        let found = check("crates/gateway/x.rs", text);
        assert_eq!(
            found.iter().map(|breach| (breach.rule, breach.line)).collect::<Vec<_>>(),
            [(Rule::Timer, 2), (Rule::Timer, 3), (Rule::Timer, 4)]
        );
        assert!(check("crates/gateway/timer.rs", text).is_empty());
        assert!(check("crates/testkit/src/x.rs", text).is_empty());
    }

    #[test]
    fn a_long_function_is_told_with_its_line() {
        let text = format!("//! Doc.\nfn f() {{{}}}\n", "\n".repeat(70));
        let found = check("x.rs", &text);
        assert_eq!(
            found.iter().map(|breach| (breach.rule, breach.line)).collect::<Vec<_>>(),
            [(Rule::FunctionLength, 2)]
        );
    }
}

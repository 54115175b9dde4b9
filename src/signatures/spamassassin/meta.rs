//! Meta rules: arithmetic over the hits of other rules.
//!
//! **Failure**: an expression that can't be read is refused. Dividing by nothing gives nothing.
//! **Invariants**: evaluation takes as many steps as the expression is long.

/// A step of an expression in postfix order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    Number(f32),
    /// The value of a rule, by its number.
    Rule(u32),
    Not,
    Negative,
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Different,
    BitAnd,
    BitOr,
    And,
    Or,
    /// Condition, then, else.
    Choose,
}

/// Steps of one expression.
const MAX_STEPS: usize = 4_000;

/// `rule` tells the numbers of the rules a name stands for; none for an unknown one.
///
/// # Errors
/// If it is no expression.
pub fn read(
    source: &str,
    rule: &mut dyn FnMut(&str) -> Option<u32>,
    matching: &mut dyn FnMut(&str) -> Vec<u32>,
) -> Result<Vec<Step>, &'static str> {
    let mut reader = Reader { rest: source, steps: Vec::new(), depth: 0, rule, matching };
    reader.choice()?;
    if reader.rest.trim().is_empty() { Ok(reader.steps) } else { Err("something behind the expression") }
}

struct Reader<'t, 'r> {
    rest: &'t str,
    steps: Vec<Step>,
    depth: usize,
    rule: &'r mut dyn FnMut(&str) -> Option<u32>,
    matching: &'r mut dyn FnMut(&str) -> Vec<u32>,
}

/// Operators of two sides, by rising precedence; longer ones first.
const LEVELS: &[&[(&str, Step)]] = &[
    &[("||", Step::Or)],
    &[("&&", Step::And)],
    &[("|", Step::BitOr)],
    &[("&", Step::BitAnd)],
    &[("==", Step::Equal), ("!=", Step::Different)],
    &[("<=", Step::LessOrEqual), (">=", Step::GreaterOrEqual), ("<", Step::Less), (">", Step::Greater)],
    &[("+", Step::Add), ("-", Step::Subtract)],
    &[("*", Step::Multiply), ("/", Step::Divide), ("%", Step::Remainder)],
];

impl Reader<'_, '_> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        // `&` is not the half of `&&`.
        if token.len() == 1 && "&|".contains(token) && rest.starts_with(token) {
            return false;
        }
        self.rest = rest;
        true
    }

    fn push(&mut self, step: Step) -> Result<(), &'static str> {
        if self.steps.len() >= MAX_STEPS {
            return Err("an expression too long");
        }
        self.steps.push(step);
        Ok(())
    }

    fn choice(&mut self) -> Result<(), &'static str> {
        self.depth += 1;
        if self.depth > 60 {
            return Err("an expression nested too deeply");
        }
        self.level(0)?;
        if self.take("?") {
            self.choice()?;
            if !self.take(":") {
                return Err("a choice without its other side");
            }
            self.choice()?;
            self.push(Step::Choose)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn level(&mut self, level: usize) -> Result<(), &'static str> {
        let Some(operators) = LEVELS.get(level) else { return self.single() };
        self.level(level + 1)?;
        'more: loop {
            for (token, step) in *operators {
                if self.take(token) {
                    self.level(level + 1)?;
                    self.push(*step)?;
                    continue 'more;
                }
            }
            return Ok(());
        }
    }

    fn single(&mut self) -> Result<(), &'static str> {
        if self.take("!") {
            self.depth += 1;
            if self.depth > 60 {
                return Err("an expression nested too deeply");
            }
            self.single()?;
            self.depth -= 1;
            return self.push(Step::Not);
        }
        if self.take("-") {
            self.depth += 1;
            if self.depth > 60 {
                return Err("an expression nested too deeply");
            }
            self.single()?;
            self.depth -= 1;
            return self.push(Step::Negative);
        }
        if self.take("(") {
            self.choice()?;
            return if self.take(")") { Ok(()) } else { Err("a parenthesis that isn't closed") };
        }
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).ok_or("an odd expression")?;
        self.rest = rest;
        if word.is_empty() {
            return Err("an operator without its sides");
        }
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.push(Step::Number(word.parse().map_err(|_| "an odd number")?));
        }
        if word == "rules_matching" {
            let (glob, rest) = self
                .rest
                .trim_start()
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .ok_or("rules_matching without names")?;
            self.rest = rest;
            self.push(Step::Number(0.0))?;
            for rule in (self.matching)(glob.trim()) {
                self.push(Step::Rule(rule))?;
                self.push(Step::Add)?;
            }
            return Ok(());
        }
        let step = (self.rule)(word).map_or(Step::Number(0.0), Step::Rule);
        self.push(step)
    }
}

fn truth(value: bool) -> f32 {
    if value { 1.0 } else { 0.0 }
}

#[allow(clippy::cast_possible_truncation, reason = "counts of hits are small; as casts saturate")]
fn whole(value: f32) -> i64 {
    value as i64
}

/// `value` tells what a rule is worth; `stack` is kept to save memory.
#[allow(clippy::cast_precision_loss, clippy::float_cmp, reason = "counts of hits are small whole numbers")]
pub fn evaluate(steps: &[Step], stack: &mut Vec<f32>, value: impl Fn(u32) -> f32) -> f32 {
    stack.clear();
    for step in steps {
        let result = match step {
            Step::Number(number) => *number,
            Step::Rule(rule) => value(*rule),
            Step::Not => truth(stack.pop().unwrap_or(0.0) == 0.0),
            Step::Negative => -stack.pop().unwrap_or(0.0),
            Step::Choose => {
                let (other, then, condition) =
                    (stack.pop().unwrap_or(0.0), stack.pop().unwrap_or(0.0), stack.pop().unwrap_or(0.0));
                if condition == 0.0 { other } else { then }
            }
            two => {
                let (right, left) = (stack.pop().unwrap_or(0.0), stack.pop().unwrap_or(0.0));
                match two {
                    Step::Multiply => left * right,
                    Step::Divide if right == 0.0 => 0.0,
                    Step::Divide => left / right,
                    Step::Remainder => whole(left).checked_rem(whole(right)).unwrap_or(0) as f32,
                    Step::Add => left + right,
                    Step::Subtract => left - right,
                    Step::Less => truth(left < right),
                    Step::LessOrEqual => truth(left <= right),
                    Step::Greater => truth(left > right),
                    Step::GreaterOrEqual => truth(left >= right),
                    Step::Equal => truth(left == right),
                    Step::Different => truth(left != right),
                    Step::BitAnd => (whole(left) & whole(right)) as f32,
                    Step::BitOr => (whole(left) | whole(right)) as f32,
                    // As Perl: the side that decides.
                    Step::And => {
                        if left == 0.0 {
                            left
                        } else {
                            right
                        }
                    }
                    _ => {
                        if left == 0.0 {
                            right
                        } else {
                            left
                        }
                    }
                }
            }
        };
        stack.push(result);
    }
    stack.pop().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &str) -> Result<f32, &'static str> {
        let steps =
            read(source, &mut |name| name.strip_prefix("R").and_then(|n| n.parse().ok()), &mut |_| vec![1, 2, 3])?;
        Ok(evaluate(&steps, &mut Vec::new(), |rule| rule as f32))
    }

    #[test]
    fn expressions_have_perls_precedence() {
        for (source, expected) in [
            ("R1 && !(R0 || UNKNOWN)", 1.0),
            ("R1 + R2 * R3 > 6", 1.0),
            ("(3 * R1 - 2 * R2) > 0", 0.0),
            ("R0 || R3", 3.0),
            ("!R1 + 1", 1.0),
            ("R3 & 1", 1.0),
            ("rules_matching(R_*) >= 6", 1.0),
            ("R1 ? R2 : R3", 2.0),
            ("R3 / R0", 0.0),
            ("2 - 1 - 1", 0.0),
            ("R1 == 1 && R2", 2.0),
        ] {
            assert_eq!(value(source), Ok(expected), "{source}");
        }
        for source in ["", "R1 &&", "(R1", "R1)", "R1 R2"] {
            assert!(value(source).is_err(), "{source}");
        }
    }
}

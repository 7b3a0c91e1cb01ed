//! `namespace(…)`, the one thing a template can change, and what may be kept in it and in variables. minijinja's own
//! would hold itself, or lists nested without end, and comparing, printing or dropping those has no bound.

use crate::error::operation;
use minijinja::value::{DynObject, Enumerator, Kwargs, Object, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The method that [`tags`](crate::tags) makes of `{% set ns.name = … %}`.
pub const ASSIGN: &str = "__assign__";
/// The function it puts around what other variables are set to.
pub const KEEP: &str = "__keep__";

/// How deep lists and maps may lie in each other.
const DEEPEST: usize = 100;
/// How many values may lie in one, those that lie in several places counted for each.
const MOST: usize = 200_000;
/// How many of them one unit of fuel pays for.
const FUEL_SHARE: usize = 2;

#[derive(Default)]
pub struct Namespace(Mutex<BTreeMap<Arc<str>, Value>>);

impl Namespace {
    fn values(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assign(&self, state: &State, name: &str, value: &Value) -> Result<(), Error> {
        if name.starts_with('_') {
            return Err(operation(format!("a namespace has no names that begin with an underscore, as {name} does")));
        }
        if value.downcast_object_ref::<Self>().is_some() {
            return Err(operation("a namespace cannot be kept in a namespace"));
        }
        let value = kept(state, value)?;
        self.values().insert(name.into(), value);
        Ok(())
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<Namespace>")
    }
}

impl Object for Namespace {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.values().get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values().keys().cloned().map(Value::from).collect())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some((Arc::as_ptr(self) as usize).cmp(&(std::ptr::from_ref(other) as usize)))
    }

    fn call_method(self: &Arc<Self>, state: &mut State, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            (ASSIGN, [name, value]) => {
                self.assign(state, name.as_str().unwrap_or_default(), value)?;
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `namespace()`, `namespace(name=value, …)` or `namespace(a map)`.
pub fn namespace(state: &State, map: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let space = Namespace::default();
    if let Some(map) = map {
        for key in map.try_iter()? {
            space.assign(state, key.as_str().unwrap_or_default(), &map.get_item(&key)?)?;
        }
    }
    for name in named.args() {
        space.assign(state, name, &named.get::<Value>(name)?)?;
    }
    Ok(Value::from_object(space))
}

/// The value as a variable may keep it: what would be computed when it is asked for is computed now.
pub fn kept(state: &State, value: &Value) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::Iterable => Value::from(value.try_iter()?.take(MOST + 1).collect::<Vec<_>>()),
        _ => value.clone(),
    };
    let mut found = 0;
    let mut open = vec![(own.clone(), 0)];
    while let Some((value, depth)) = open.pop() {
        found += 1;
        let inner = match value.kind() {
            ValueKind::Seq => value.try_iter()?.collect::<Vec<_>>(),
            ValueKind::Map if value.downcast_object_ref::<Namespace>().is_some() && depth == 0 => continue,
            ValueKind::Map if value.downcast_object_ref::<Namespace>().is_some() => {
                return Err(operation("a namespace cannot be kept in a list or a map"));
            }
            ValueKind::Map => {
                let keys = value.try_iter()?;
                keys.filter_map(|key| value.get_item(&key).ok()).collect::<Vec<_>>()
            }
            _ => continue,
        };
        if depth == DEEPEST {
            return Err(operation(format!("expected values nested at most {DEEPEST} deep")));
        }
        if found + open.len() + inner.len() > MOST {
            return Err(operation(format!("expected at most {MOST} values in one variable")));
        }
        state.consume_fuel((inner.len() / FUEL_SHARE + 1) as u64)?;
        open.extend(inner.into_iter().map(|value| (value, depth + 1)));
    }
    Ok(own)
}

//! Arrays of whole numbers.

use std::ops::RangeInclusive;

use super::{Section, Written};

impl Section<'_, '_> {
    /// An array of numbers of the range; what is none is a fault and left out.
    pub(crate) fn numbers(
        &mut self,
        key: &'static str,
        example: &str,
        range: RangeInclusive<i32>,
    ) -> Vec<Written<i32>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let remedy = format!("write an array of whole numbers, as in {key} = {example}");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, &remedy);
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for item in array {
            let Some(integer) = item.get_ref().as_integer() else {
                self.wrong_type(key, item, &remedy);
                continue;
            };
            match i32::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(value) if range.contains(&value) => numbers.push(Written { value, at: item.span() }),
                _ => self.fault(&item.span(), format!("`{key}` = {integer} is out of range"), &*remedy),
            }
        }
        numbers
    }
}

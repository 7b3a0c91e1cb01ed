//! The learning rate of each step.

use super::recipe::{Schedule, TrainingOptions};

/// The learning rate of `step`, counted from 1: a linear warm-up, then the schedule down to the least rate.
pub fn learning_rate(options: &TrainingOptions, step: usize) -> f64 {
    let (peak, least) = (options.learning_rate, options.min_learning_rate);
    if step <= options.warmup_steps {
        return peak * step as f64 / options.warmup_steps as f64;
    }
    let share = match options.lr_scheduler_type {
        Schedule::Cosine => {
            let steps = options.max_steps.saturating_sub(options.warmup_steps).max(1) as f64;
            let done = ((step - options.warmup_steps) as f64 / steps).min(1.0);
            0.5 * (1.0 + libm::cos(std::f64::consts::PI * done))
        }
        Schedule::WarmupStableDecay if options.decay_steps == 0 => 1.0,
        Schedule::WarmupStableDecay => {
            let left = options.max_steps.saturating_sub(step) as f64;
            (left / options.decay_steps as f64).min(1.0)
        }
    };
    least + (peak - least) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_holds_and_falls() {
        let mut options = TrainingOptions {
            learning_rate: 1.0,
            min_learning_rate: 0.1,
            warmup_steps: 10,
            max_steps: 110,
            ..Default::default()
        };
        let rates = |o: &TrainingOptions| [1, 10, 60, 110].map(|step| (learning_rate(o, step) * 1e6).round() / 1e6);
        assert_eq!(rates(&options), [0.1, 1.0, 0.55, 0.1]);
        options.lr_scheduler_type = Schedule::WarmupStableDecay;
        options.decay_steps = 40;
        assert_eq!(rates(&options), [0.1, 1.0, 1.0, 0.1]);
        assert_eq!((learning_rate(&options, 90) * 1e6).round() / 1e6, 0.55);
    }
}

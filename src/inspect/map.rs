//! Vectors on a plane: principal component analysis (Pearson 1901) of the residual stream through the layers.

use crate::model::{Probe, Site, Spec};

/// Steps of the iteration: by then what is left of the other directions is far below what a screen shows.
const STEPS: usize = 60;

/// Two coordinates for every token in every layer, `[layers + 1, n, 2]`. Vectors are taken by their direction: their
/// lengths grow from layer to layer and would hide it.
pub(super) fn of(spec: &Spec, probe: &Probe) -> Vec<f32> {
    let (layers, width) = (spec.layers, spec.hidden_size);
    let mut points: Vec<f32> = Vec::new();
    for layer in 0..=layers {
        for row in probe.values(layer, Site::Stream).chunks_exact(width) {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            points.extend(row.iter().map(|x| x / length));
        }
    }
    principal_plane(&mut points, width)
}

/// The coordinates of points `[n, width]` on the plane in which they spread most, `[n, 2]`; the points are centred. The sign
/// of each axis is that which gives the first point that is not at zero a positive place.
pub fn principal_plane(points: &mut [f32], width: usize) -> Vec<f32> {
    let n = points.len() / width.max(1);
    for column in 0..width {
        let mean = points.iter().skip(column).step_by(width).sum::<f32>() / n.max(1) as f32;
        points.iter_mut().skip(column).step_by(width).for_each(|x| *x -= mean);
    }
    let mut axes: Vec<Vec<f32>> = Vec::new();
    for axis in 0..2 {
        // A fixed beginning that is hardly at a right angle to anything.
        let mut direction: Vec<f32> = (0..width).map(|i| libm::sinf((i + 1) as f32 * (1.3 + axis as f32))).collect();
        for _ in 0..STEPS {
            let mut next = vec![0f32; width];
            for row in points.chunks_exact(width) {
                let along = dot(row, &direction);
                next.iter_mut().zip(row).for_each(|(next, x)| *next += along * x);
            }
            for other in &axes {
                let along = dot(&next, other);
                next.iter_mut().zip(other).for_each(|(next, x)| *next -= along * x);
            }
            let length = dot(&next, &next).sqrt();
            if length <= f32::MIN_POSITIVE {
                break;
            }
            direction = next.into_iter().map(|x| x / length).collect();
        }
        let first = points.chunks_exact(width).map(|row| dot(row, &direction)).find(|x| x.abs() > 1e-6);
        if first.is_some_and(|x| x < 0.0) {
            direction.iter_mut().for_each(|x| *x = -*x);
        }
        axes.push(direction);
    }
    points.chunks_exact(width).flat_map(|row| [dot(row, &axes[0]), dot(row, &axes[1])]).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_is_that_of_the_two_widest_directions() {
        // Points on an ellipse in a tilted plane of five dimensions, a little thickness in a third direction.
        let (u, v) = ([0.6, 0.8, 0.0, 0.0, 0.0], [0.0, 0.0, 0.6, 0.0, 0.8]);
        let point = |i: usize| {
            let angle = i as f32 * 0.7;
            let (a, b, c) = (5.0 * angle.cos(), 2.0 * angle.sin(), 0.1 * (3.1 * angle).sin());
            (a, b, (0..5).map(|d| 3.0 + a * u[d] + b * v[d] + if d == 3 { c } else { 0.0 }).collect::<Vec<f32>>())
        };
        let all: Vec<_> = (0..90).map(point).collect();
        let mut points: Vec<f32> = all.iter().flat_map(|(_, _, x)| x.clone()).collect();
        let found = principal_plane(&mut points, 5);
        let mean = |values: Vec<f32>| values.iter().sum::<f32>() / values.len() as f32;
        let (mean_a, mean_b) = (mean(all.iter().map(|p| p.0).collect()), mean(all.iter().map(|p| p.1).collect()));
        for (i, (a, b, _)) in all.iter().enumerate() {
            // The axes may be turned round.
            assert!((found[2 * i].abs() - (a - mean_a).abs()).abs() < 0.05, "{i}: {} for {a}", found[2 * i]);
            assert!((found[2 * i + 1].abs() - (b - mean_b).abs()).abs() < 0.1, "{i}: {} for {b}", found[2 * i + 1]);
        }
        assert_eq!(principal_plane(&mut [1.0, 2.0], 2), [0.0, 0.0]);
    }
}

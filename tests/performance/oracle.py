"""What the records must say, the slow and obvious way: from all samples of a course, with pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd  # type: ignore[import-untyped]

from bessai.performance.law import Law
from performance.conftest import Course


def frame(*courses: Course) -> pd.DataFrame:
    """Every record a row, by time of its tick."""
    parts = [
        pd.DataFrame({**one.values, "setpoint": one.setpoint, "offset": one.offset, "age": one.ages})
        .assign(time=pd.to_datetime(one.times, utc=True))
        .set_index("time")
        for one in courses
    ]
    return pd.concat(parts)


def fecf(courses: pd.DataFrame, reserve: float, share: float) -> pd.DataFrame:
    """By hour: coverage, mean deviation and index."""
    measured = courses["frequency"].copy()
    measured.index = measured.index - pd.to_timedelta(courses["age"], unit="s")
    sampled = measured.dropna().resample("10s").first()
    first, last = sampled.index[0].floor("h"), sampled.index[-1].floor("h") + pd.Timedelta("1h")
    sampled = sampled.reindex(pd.date_range(first, last, freq="10s", inclusive="left"))
    smooth = (sampled - 50).rolling(36, min_periods=int(np.ceil(share * 36))).mean().abs()
    hours = smooth.resample("1h").agg(["mean", "count"])
    hours["coverage"] = hours["count"] / 360
    hours["index_"] = (1 - hours["mean"] / reserve).where(hours["coverage"] >= share)
    return hours


def owed(frequency: float, law: Law, rated: float) -> float:
    """The annex's formula, one value at a time."""
    deviation, band = frequency - 50.0, law.dead_band / 1000
    if abs(deviation) <= band + 1e-6:
        return 0.0
    if law.shape == "offset":
        deviation = deviation - band if deviation > 0 else deviation + band
    power = -deviation / (law.droop / 100 * 50) * rated
    return max(-law.authority_down / 100 * rated, min(law.authority_up / 100 * rated, power))


def primary(courses: pd.DataFrame, law: Law, rated: float) -> pd.DataFrame:
    """By hour: what was expected, what came, ratio, correlation, error and bias."""
    rows = courses.copy()
    rows["expected"] = [np.nan if np.isnan(f) else owed(f, law, rated) for f in rows["frequency"]]
    rows["residual"] = rows["active_power"] - (rows["setpoint"] - rows["offset"].fillna(0))
    rows["outside"] = (rows["frequency"] - 50).abs() > law.dead_band / 1000 + 1e-6
    rows = rows.dropna(subset=["expected", "residual"])
    slots = rows[["expected", "residual"]].resample("10s").mean()
    slots["outside"] = rows["outside"].astype(float).resample("10s").mean()
    slots = slots.dropna()
    told = []
    for hour, one in slots.groupby(slots.index.floor("h")):
        inside, active = one[one["outside"] == 0], one[one["outside"] > 0]
        bias = inside["residual"].mean()
        given = active["residual"] - (0 if np.isnan(bias) else bias)
        told.append(
            {
                "hour": hour, "coverage": len(one) / 360, "outside": one["outside"].sum() * 10, "bias": bias,
                "expected": active["expected"].abs().sum() / 360,
                "delivered": (given * np.sign(active["expected"])).sum() / 360,
                "correlation": active["expected"].corr(given), "error": (given - active["expected"]).abs().mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(told).set_index("hour")


def energy(
    courses: pd.DataFrame, gap: float, fine: int = 200
) -> dict[pd.Timestamp, tuple[float, float, float]]:
    """By quarter: kWh exported and imported and seconds known, by very many small rectangles."""
    parts = []
    times, powers = courses.index, courses["active_power"].to_numpy()
    shares = (np.arange(fine) + 0.5) / fine
    for a, b, low, high in zip(times, times[1:], powers, powers[1:], strict=False):
        length = (b - a).total_seconds()
        if not np.isnan(low + high) and 0 < length <= gap:
            at = a + pd.to_timedelta(shares * length, unit="s")
            power = low + (high - low) * shares
            parts.append(pd.DataFrame({"power": power, "hours": length / fine / 3600}, index=at))
    every = pd.concat(parts)
    kwh = every["power"] * every["hours"]
    sums = pd.DataFrame({"up": kwh.clip(lower=0), "down": -kwh.clip(upper=0), "known": every["hours"] * 3600})
    found = sums.groupby(every.index.floor("15min")).sum()
    return {at: (row["up"], row["down"], row["known"]) for at, row in found.iterrows()}


def good_minutes(courses: pd.DataFrame, role: str) -> set[pd.Timestamp]:
    """Minutes in which each ten seconds have a good value."""
    slots = courses[role].dropna().index.floor("10s").unique()
    per_minute = pd.Series(1, index=slots).groupby(slots.floor("min")).sum()
    return set(per_minute[per_minute == 6].index)

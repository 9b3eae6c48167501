"""Images of a plant's columns: of all of them, or quickly of those that control looks at.

A plant of a thousand devices has hundreds of thousands of columns. They are recorded once a second; a faster cycle
in between looks only at the plant's points, what they are made of, and the commanded devices.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bessai.drivers import Arrays, UniversalDriver
from bessai.model import Clock, Layout, ProcessImage, Quality
from bessai.site import Rule, Site

log = logging.getLogger("bessai.plant")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Counting:
    """A device whose counter tells whether its data is alive, and its columns."""

    driver: UniversalDriver
    columns: slice | NDArray[np.intp]


class Images:
    """Takes images of a site.

    Args:
        site: layouts and rules.
        arrays: the latest values of every column.
        counting: devices with an `alive` counter, by their columns in the site's layout.
        clock: time of the images.
    """

    def __init__(
        self, site: Site, arrays: Arrays, counting: Sequence[tuple[UniversalDriver, slice]], clock: Clock
    ) -> None:
        self._site = site
        self._arrays = arrays
        self._clock = clock
        self._counting = [Counting(driver=driver, columns=columns) for driver, columns in counting]
        self._failed: set[int] = set()
        part = site.part[1]
        views = [view.columns for view in (site.view, *site.views.values())]
        inputs = [column for rule in site.rules for column in (rule.column, *rule.inputs)]
        self._few = np.unique(np.concatenate([*views, part, np.array(inputs, np.intp)])).astype(np.intp)
        place = np.full(len(site.layout), -1, np.intp)
        place[self._few] = np.arange(len(self._few))
        self._few_part = place[part]
        self._few_views = {name: place[view.columns] for name, view in site.views.items()}
        self._few_rules = [rule.moved(place) for rule in site.rules]
        self._few_counting = [
            Counting(driver=driver, columns=kept[kept >= 0])
            for driver, columns in counting
            if len(kept := place[columns])
        ]

    def whole(self, cycle: int) -> ProcessImage:
        """Every column: stale and frozen values marked, the plant's own points computed."""
        return self._image(
            cycle, self._site.layout, *self._taken(self._arrays, self._site.rules, self._counting)
        )

    def views(self, image: ProcessImage) -> dict[str, ProcessImage]:
        """The parts of a whole image that control looks at, by commanded device."""
        if self._site.whole_view:
            return {device.name: image for device in self._site.units} or {"": image}
        if not self._site.views:
            return {"": self.view(image)}
        return {name: _project(image, view.layout, view.columns) for name, view in self._site.views.items()}

    def view(self, image: ProcessImage) -> ProcessImage:
        """The part of a whole image that people look at first."""
        view = self._site.view
        return image if self._site.whole_view else _project(image, view.layout, view.columns)

    def quick(self, cycle: int) -> tuple[dict[str, ProcessImage], ProcessImage]:
        """What control looks at, and what is recorded of it under the site's names, without all the other columns."""
        few = self._few
        arrays = Arrays(
            values=self._arrays.values[few],
            quality=self._arrays.quality[few],
            times=self._arrays.times[few],
            stale_after=self._arrays.stale_after[few],
        )
        now, values, quality, times = self._taken(arrays, self._few_rules, self._few_counting)
        at = self._few_part
        part = self._image(cycle, self._site.part[0], now, values[at], quality[at], times[at])
        views = {
            name: self._image(cycle, view.layout, now, values[at], quality[at], times[at])
            for (name, view), at in zip(self._site.views.items(), self._few_views.values(), strict=True)
        }
        return views or {"": part}, part

    def _taken(
        self, arrays: Arrays, rules: Sequence[Rule], counting: Sequence[Counting]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64]]:
        now = self._clock.monotonic()
        values, quality, times = arrays.frozen(now)
        for device in counting:
            marks = quality[device.columns]
            if device.driver.mark_frozen(marks, now):
                quality[device.columns] = marks
        for i, rule in enumerate(rules):
            self._apply(i, rule, values, quality, times)
        return now, values, quality, times

    def _apply(
        self,
        number: int,
        rule: Rule,
        values: NDArray[np.float64],
        quality: NDArray[np.uint8],
        times: NDArray[np.float64],
    ) -> None:
        try:
            rule.apply(values, quality, times)
        except Exception:  # one wrong rule must not keep the device from its safe state
            values[rule.column], quality[rule.column] = np.nan, Quality.INVALID
            if number not in self._failed:
                self._failed.add(number)
                name = self._site.layout.names[self._site.rules[number].column]
                log.exception("the rule of %s failed", name)

    def _image(
        self,
        cycle: int,
        layout: Layout,
        now: float,
        values: NDArray[np.float64],
        quality: NDArray[np.uint8],
        times: NDArray[np.float64],
    ) -> ProcessImage:
        return ProcessImage(
            layout=layout,
            cycle=cycle,
            monotonic=now,
            wall_ns=self._clock.wall_ns(),
            values=values,
            quality=quality,
            times=times,
        )


def _project(image: ProcessImage, layout: Layout, columns: NDArray[np.intp]) -> ProcessImage:
    return ProcessImage(
        layout=layout,
        cycle=image.cycle,
        monotonic=image.monotonic,
        wall_ns=image.wall_ns,
        values=image.values[columns],
        quality=image.quality[columns],
        times=image.times[columns],
    )

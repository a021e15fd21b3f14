"""Colours: hue, saturation, lightness, and contrast (WCAG 2.2)."""

import colorsys
from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """An sRGB colour, each part 0 to 255."""

    red: int
    green: int
    blue: int

    @classmethod
    def from_hex(cls, text: str) -> "Colour":
        """`#1a2b3c` or `1a2b3c`."""
        plain = text.removeprefix("#")
        return cls(int(plain[0:2], 16), int(plain[2:4], 16), int(plain[4:6], 16))

    @classmethod
    def from_hsl(cls, hue: float, saturation: float, lightness: float) -> "Colour":
        """Hue in degrees, the others 0 to 1."""
        red, green, blue = colorsys.hls_to_rgb((hue % 360) / 360, lightness, saturation)
        return cls(round(red * 255), round(green * 255), round(blue * 255))

    @property
    def hex(self) -> str:
        """`#1a2b3c`."""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def hsl(self) -> tuple[float, float, float]:
        """Hue in degrees, saturation and lightness 0 to 1."""
        hue, lightness, saturation = colorsys.rgb_to_hls(self.red / 255, self.green / 255, self.blue / 255)
        return hue * 360, saturation, lightness

    @property
    def luminance(self) -> float:
        """Relative luminance, 0 to 1."""

        def linear(part: int) -> float:
            value = part / 255
            return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

        return 0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)

    def contrast(self, other: "Colour") -> float:
        """Contrast ratio, 1 to 21."""
        light, dark = sorted((self.luminance, other.luminance), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    def darkened_until(self, background: "Colour", ratio: float) -> "Colour":
        """The colour, as dark as it takes to be read on a light background."""
        hue, saturation, lightness = self.hsl
        colour = self
        while colour.contrast(background) < ratio and lightness > 0:
            lightness = max(0.0, lightness - 0.01)
            colour = Colour.from_hsl(hue, saturation, lightness)
        return colour


WHITE = Colour(255, 255, 255)


def apart(one: float, other: float) -> float:
    """Degrees between two hues, 0 to 180."""
    distance = abs(one - other) % 360
    return min(distance, 360 - distance)

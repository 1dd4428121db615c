"""Any file of this field as a person would want to read it, with what is wrong with it for either use."""

from twoway.doctor.inspection.reading import Inspected, Item, inspect_bytes, inspect_directory

__all__ = ["Inspected", "Item", "inspect_bytes", "inspect_directory"]

"""The operations that AutoAugment and RandAugment choose from, each on a whole clip at once.

May import what ``video`` may. Begin reading in `operations`.
"""

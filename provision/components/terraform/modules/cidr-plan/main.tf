# A subnet's place follows from its zone's letter, and not from its position in a list: adding or removing a zone moves no
# other subnet. The lower half is private, the upper half public.
locals {
  letters = ["a", "b", "c", "d", "e", "f", "g", "h"]

  index = { for zone in var.availability_zones : zone => index(local.letters, substr(zone, -1, 1)) }
}

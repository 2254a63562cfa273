"""CustomerService: what orders hold of a person."""

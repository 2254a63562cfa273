"""PartnerService: partners, their clients, and the clients' secrets."""
